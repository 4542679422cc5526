package folderaddress_test

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/pipeline/folderaddress"
)

// TestOf: whatever a folder is called, its address leads to it, also for who reads it with
// the usual parser.
func TestOf(t *testing.T) {
	t.Parallel()
	for _, folder := range []string{"/a", "/a b/c", "/a?b#c", "/p%41q", "/100%", "/ü/ñ", "/x@y:z", "/a;b&c=d+e", `/back\slash`, "/new\nline", "//two"} {
		address := folderaddress.Of(folder)
		if got, err := folderaddress.Folder(address); err != nil || got != folder {
			t.Errorf("%q has the address %s, which leads to %q (%v)", folder, address, got, err)
		}
		if u, err := url.Parse(address); err != nil || u.Path != folder || u.RawQuery != "" || u.Fragment != "" {
			t.Errorf("%q has the address %s: %+v, %v", folder, address, u, err)
		}
	}
	if got := folderaddress.Of("/srv/what?"); got != "file:///srv/what%3F" {
		t.Errorf("an address is %s", got)
	}
}

// TestFolder: addresses as people and earlier versions wrote them.
func TestFolder(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"file:./mlruns":              "./mlruns",
		"file:my runs":               "my runs",
		"file:/abs":                  "/abs",
		"file:///abs/my runs":        "/abs/my runs", // of a version that did not escape
		"file:///abs/my%20runs":      "/abs/my runs",
		"file://localhost/abs":       "/abs",
		"file:./50%25":               "./50%",
		"file:":                      "",
		"file://":                    "",
		"file://abs":                 "",
		"file://elsewhere/mlruns":    "",
		"file://localhostage/mlruns": "",
		"file:./a?b":                 "",
		"file:./a#b":                 "",
		"file:./50%":                 "",
		"file:./a%00b":               "",
		"http://host":                "",
	} {
		got, err := folderaddress.Folder(address)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s leads to %q (%v), want %q", address, got, err, want)
		}
	}
}

func TestAbsolute(t *testing.T) {
	t.Parallel()
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]string{
		"file:./a%20b": folderaddress.Of(filepath.Join(wd, "a b")),
		"https://host": "https://host",
	} {
		if got, err := folderaddress.Absolute(address); err != nil || got != want {
			t.Errorf("%s is %s (%v), want %s", address, got, err, want)
		}
	}
	if _, err := folderaddress.Absolute("file:./a?b"); err == nil {
		t.Error("an address with a query is taken")
	}
}

// FuzzFolder: no address leads to another folder than the parser of addresses says.
func FuzzFolder(f *testing.F) {
	for _, seed := range []string{"file:./mlruns", "file:///a%41", "file://localhost/x", "file:///a?b", "file://x/y", "file:/%zz"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, address string) {
		folder, err := folderaddress.Folder(address)
		u, parseErr := url.Parse(address)
		if err != nil || parseErr != nil || !filepath.IsAbs(folder) {
			return
		}
		if u.Path != folder || u.Host != "" && u.Host != "localhost" {
			t.Errorf("%q leads to %q, and is %+v", address, folder, u)
		}
		if again, err := folderaddress.Folder(folderaddress.Of(folder)); err != nil || again != folder && strings.ToValidUTF8(folder, "") == folder {
			t.Errorf("%q comes back as %q (%v)", folder, again, err)
		}
	})
}
