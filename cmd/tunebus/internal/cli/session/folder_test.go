package session

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/localup"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/settings"
)

func testSession() *Session {
	s := New("v1.0.0", view.NewConsole(&bytes.Buffer{}, &bytes.Buffer{}))
	s.Command = "export"
	s.AddFlags(pflag.NewFlagSet("", pflag.ContinueOnError))
	return s
}

// TestFolderOfAnother: a command that has a data folder for longer is found by another
// one, which works on its server and is told when it ends.
func TestFolderOfAnother(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	data := t.TempDir()
	if err := os.Mkdir(filepath.Join(data, "nats"), 0o755); err != nil {
		t.Fatal(err)
	}
	at := Location{Data: data}
	cfg, err := settings.Load(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	first, err := openFolder(t.Context(), testSession(), at, cfg)
	if err != nil {
		t.Fatal(err)
	}
	second, err := openFolder(t.Context(), testSession(), at, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if h := second.owner; h.Command != "export" || h.PID != os.Getpid() || !h.Idle || second.embedded != nil || second.Folder() != data {
		t.Errorf("the second command asks %+v, on folder %q", h, second.Folder())
	}
	if err := history.CheckSetUp(t.Context(), second.Bus); err != nil {
		t.Errorf("the second command reads nothing: %v", err)
	}
	if _, err := conn.Connect(t.Context(), conn.Options{URL: second.owner.URL, Wait: -1}); err == nil {
		t.Error("anybody may connect")
	}
	watched, stop := second.watchOwner(t.Context())
	defer stop()
	if err := first.close(); err != nil {
		t.Error(err)
	}
	select {
	case <-watched.Done():
	case <-time.After(time.Minute):
	}
	if !errors.Is(context.Cause(watched), errOwnerEnded) {
		t.Errorf("it ends: %v", context.Cause(watched))
	}
	if err := second.close(); err != nil {
		t.Error(err)
	}
	if all := localup.Running(); len(all) > 0 {
		t.Errorf("running: %v", all)
	}
	third, err := openFolder(t.Context(), testSession(), at, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if third.embedded == nil {
		t.Error("the third command does not have the folder itself")
	}
	if err := third.close(); err != nil {
		t.Error(err)
	}
}
