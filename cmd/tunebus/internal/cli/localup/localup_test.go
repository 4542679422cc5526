package localup

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// TestFind: an up is found as long as it runs, by its address.
func TestFind(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	data := t.TempDir()
	if err := os.Mkdir(filepath.Join(data, "inputs"), 0o755); err != nil {
		t.Fatal(err)
	}
	const address = "nats://127.0.0.1:4222"
	if _, ok := Find(address); ok {
		t.Error("an up is found before there is one")
	}
	want := Up{Data: data, Roots: []string{"/a", "/b"}, Artifacts: "file://" + data}
	for range 2 { // an address is used again
		stop, err := Announce(address, want)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := Find("127.0.0.1:4222"); !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("found %+v, %t", got, ok)
		}
		if _, err := Announce(address, want); err == nil {
			t.Error("two processes listen on one address")
		}
		if _, ok := Find("127.0.0.1:4223"); ok {
			t.Error("another address is that of the up")
		}
		stop()
		if _, ok := Find(address); ok {
			t.Error("an up that has ended is found")
		}
	}
}
