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
	if err := os.Mkdir(filepath.Join(data, "nats"), 0o755); err != nil {
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
		if files, err := filepath.Glob(filepath.Join(os.Getenv("XDG_CACHE_HOME"), "tunebus", "up", "*")); len(files) > 0 || err != nil {
			t.Errorf("it leaves %v (%v)", files, err)
		}
		if _, ok := Find(address); ok {
			t.Error("an up that has ended is found")
		}
	}
}

// TestFileOfKilledProcess: the file of a process that was killed says nothing, and is
// removed.
func TestFileOfKilledProcess(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	data := t.TempDir()
	if err := os.Mkdir(filepath.Join(data, "nats"), 0o755); err != nil {
		t.Fatal(err)
	}
	stop, err := Announce("127.0.0.1:1", Up{URL: "nats://127.0.0.1:1", Data: data, Command: "run", PID: 7})
	if err != nil {
		t.Fatal(err)
	}
	if all := Running(); len(all) != 1 || all[0].String() != "tunebus run (process 7)" {
		t.Errorf("running: %v", all)
	}
	file, err := path("127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	stop()
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if up, ok := Find("127.0.0.1:1"); ok {
		t.Errorf("found %v", up)
	}
	if all := Running(); len(all) > 0 {
		t.Errorf("running: %v", all)
	}
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("its file: %v", err)
	}
}
