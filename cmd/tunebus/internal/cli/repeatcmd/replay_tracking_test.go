package repeatcmd_test

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// walk is what a folder holds: every file, with what names the folder itself
// and when an experiment was made taken out.
func walk(t *testing.T, dir string) map[string]string {
	t.Helper()
	made := regexp.MustCompile(`(?m)^(creation_time|last_update_time): .*$`)
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := os.ReadFile(path)
		name, rerr := filepath.Rel(dir, path)
		if err == nil {
			err = rerr
		}
		out[name] = made.ReplaceAllString(strings.ReplaceAll(string(body), dir, "DIR"), "$1: then")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// equal compares what two folders hold.
func equal(t *testing.T, what string, have, want map[string]string) {
	t.Helper()
	if len(want) == 0 {
		t.Errorf("%s: nothing is there", what)
	}
	for name, body := range want {
		if got, ok := have[name]; !ok {
			t.Errorf("%s: %s is missing", what, name)
		} else if got != body {
			t.Errorf("%s: %s is\n%.500s\nwant\n%.500s", what, name, got, body)
		}
	}
	for name := range have {
		if _, ok := want[name]; !ok {
			t.Errorf("%s: %s is new", what, name)
		}
	}
}

type replayed struct {
	To       string              `json:"to"`
	Written  int                 `json:"written"`
	Recorded []string            `json:"recorded"`
	Open     int                 `json:"open"`
	Early    int                 `json:"early"`
	Unknown  []string            `json:"unknown"`
	Gaps     map[string][]string `json:"gaps"`
	DryRun   bool                `json:"dry_run"`
}

// TestReplayTracking: MLflow and the reports come from the stream, the
// archive and the artifacts alone; twice is as once; a copy elsewhere is the
// same and records nothing.
func TestReplayTracking(t *testing.T) {
	t.Parallel()
	folder := clitest.NewDataFolder(t)
	folder.WithServer(t, func(b *conn.Conn) {
		for _, run := range []string{"archived", "tracked", "pending"} {
			clitest.Publish(t, b, clitest.EndedRun(run, folder.Put(t, run, "inferencer_output.jsonl", `{"question":"?"}`+"\n"))...)
		}
		clitest.Publish(t, b, events.TrackingCompleted{RunID: "archived"}, events.TrackingCompleted{RunID: "tracked"})
		clitest.Publish(t, b, clitest.EndedRun("open")[:3]...)
	})
	dir := t.TempDir()
	reports, store := filepath.Join(dir, "reports"), filepath.Join(dir, "mlruns")
	base := []string{"replay", "tracking", "--data", folder.Dir, "--reports", reports, "--tracking-uri", "file:" + store}
	if status, _, screen := clitest.Run(t, "archive", "--data", folder.Dir, "--older-than", "0s"); status != 0 {
		t.Fatalf("archive: status %d\n%s", status, screen)
	}
	// archive takes both tracked runs; one of them comes back by its id alone
	// in what follows, so that runs of the archive are found by name too.
	var dry replayed
	clitest.Result(t, &dry, append(base, "--dry-run")...)
	if dry.Written != 3 || dry.Open != 1 || !dry.DryRun {
		t.Errorf("dry: %+v", dry)
	}
	if _, err := os.Stat(store); err == nil {
		t.Error("a dry run writes")
	}

	var one replayed
	clitest.Result(t, &one, append(base, "--run", "archived")...)
	if one.Written != 1 || len(one.Recorded) != 0 {
		t.Errorf("one: %+v", one)
	}
	var first, second replayed
	clitest.Result(t, &first, base...)
	if first.Written != 3 || first.Open != 1 || !slices.Equal(first.Recorded, []string{"pending"}) || len(first.Gaps) != 0 {
		t.Errorf("first: %+v", first)
	}
	runs, files := walk(t, store), walk(t, reports)
	for _, name := range []string{"runs.json", "runs.txt", "pending/pipeline_summary.json", "archived/pipeline_summary.json"} {
		if files[name] == "" {
			t.Errorf("no report %s", name)
		}
	}
	metas := 0
	for name, body := range runs {
		if filepath.Base(name) == "meta.yaml" && strings.Contains(body, "run_name:") {
			metas++
			if !strings.Contains(body, "end_time: 1767323") || !strings.Contains(body, "status: 3") {
				t.Errorf("%s has not the original time, or no end:\n%s", name, body)
			}
		}
	}
	if metas != 6 {
		t.Errorf("%d MLflow runs, want a parent and a child of three", metas)
	}
	clitest.Result(t, &second, base...)
	if second.Written != 3 || len(second.Recorded) != 0 {
		t.Errorf("second: %+v", second)
	}
	equal(t, "MLflow, twice", walk(t, store), runs)
	equal(t, "reports, twice", walk(t, reports), files)

	elsewhere := filepath.Join(dir, "elsewhere")
	var copied replayed
	clitest.Result(t, &copied, append(base, "--to", "file:"+elsewhere)...)
	if copied.Written != 3 || copied.To != "file://"+elsewhere {
		t.Errorf("copied: %+v", copied)
	}
	copies := walk(t, elsewhere)
	for name, body := range copies { // config.toml names the MLflow of the original
		copies[name] = strings.ReplaceAll(body, store, "DIR")
	}
	equal(t, "the copy", copies, runs)
	equal(t, "the original", walk(t, store), runs)

	var early replayed
	clitest.Result(t, &early, append(base, "--since", "2026-01-03")...)
	if early.Written != 0 || early.Early != 3 {
		t.Errorf("since a day later: %+v", early)
	}
	clitest.Result(t, &early, append(base, "--since", "2026-01-02")...)
	if early.Written != 3 {
		t.Errorf("since that day: %+v", early)
	}
	if status, out, screen := clitest.Run(t, append(base, "--run", "nobody", "--run", "tracked")...); status != 2 || !strings.Contains(screen, "run nobody is unknown") {
		t.Errorf("somebody unknown: status %d\n%s%s", status, out, screen)
	}
}

// TestReplayTrackingToAnotherPlaceRecordsNothing: a run that could not be
// tracked where it belongs is still pending after it was copied.
func TestReplayTrackingToAnotherPlaceRecordsNothing(t *testing.T) {
	t.Parallel()
	folder := clitest.NewDataFolder(t)
	folder.WithServer(t, func(b *conn.Conn) { clitest.Publish(t, b, clitest.EndedRun("r")...) })
	dir := t.TempDir()
	base := []string{"replay", "tracking", "--data", folder.Dir, "--reports", filepath.Join(dir, "reports"), "--tracking-uri", "file:" + filepath.Join(dir, "home")}
	for _, step := range []struct {
		to       string
		recorded []string
	}{{"elsewhere", nil}, {"home", []string{"r"}}, {"home", nil}} {
		var got replayed
		clitest.Result(t, &got, append(base, "--to", "file:"+filepath.Join(dir, step.to))...)
		if got.Written != 1 || !slices.Equal(got.Recorded, step.recorded) {
			t.Errorf("to %s: %+v", step.to, got)
		}
	}
}

// TestCredentialsOfACopyGoThereAlone: the usual variables are for the address
// of --to, and what the settings hold for another MLflow stays there.
func TestCredentialsOfACopyGoThereAlone(t *testing.T) {
	folder := clitest.NewDataFolder(t)
	folder.WithServer(t, func(b *conn.Conn) { clitest.Publish(t, b, clitest.EndedRun("r")...) })
	var mu sync.Mutex
	got := map[string]string{}
	listen := func(name string) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			got[name] = r.Header.Get("Authorization")
			w.WriteHeader(http.StatusForbidden)
		}))
		t.Cleanup(server.Close)
		return server.URL
	}
	home, there := listen("home"), listen("there")
	settings := filepath.Join(t.TempDir(), "tunebus.toml")
	if err := os.WriteFile(settings, []byte("[credentials]\nmlflow_username = \"ada\"\nmlflow_password = \"at-home\"\n[services.tracker]\ntracking_uri = \""+home+"\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	base := []string{"replay", "tracking", "--data", folder.Dir, "--settings", settings, "--reports", t.TempDir()}
	clitest.Run(t, base...)
	clitest.Run(t, append(base, "--to", there)...)
	if got["home"] == "" || got["there"] != "" {
		t.Errorf("with settings alone: %v", got)
	}
	clear(got)
	t.Setenv("MLFLOW_TRACKING_TOKEN", "t0ken")
	status, _, screen := clitest.Run(t, append(base, "--to", there)...)
	if got["there"] != "Bearer t0ken" || got["home"] != "" {
		t.Errorf("with a token in the environment: %v", got)
	}
	if status != 1 || strings.Contains(screen, "t0ken") || strings.Contains(screen, "at-home") {
		t.Errorf("status %d\n%s", status, screen)
	}
}

// TestReplayTrackingWithoutMLflow says what to do, and the command itself then
// works.
func TestReplayTrackingWithoutMLflow(t *testing.T) {
	t.Setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
	folder := clitest.NewDataFolder(t)
	folder.WithServer(t, func(b *conn.Conn) { clitest.Publish(t, b, clitest.EndedRun("r")...) })
	server := httptest.NewServer(http.NotFoundHandler())
	address := server.URL
	server.Close()
	base := []string{"replay", "tracking", "--data", folder.Dir, "--reports", t.TempDir(), "--run", "r"}
	status, out, screen := clitest.Run(t, append(base, "--tracking-uri", address)...)
	if status != 1 || !strings.Contains(screen, "cannot be reached") || !strings.Contains(out, "0 runs written") {
		t.Errorf("status %d\n%s%s", status, out, screen)
	}
	for name, args := range map[string][]string{
		"both":      {"--run", "r", "--since", "1d"},
		"bad time":  {"--since", "yesterday"},
		"no MLflow": {"--to", "sqlite:///x.db"},
	} {
		if status, _, screen := clitest.Run(t, append([]string{"replay", "tracking", "--data", folder.Dir}, args...)...); status != 2 {
			t.Errorf("%s: status %d\n%s", name, status, screen)
		}
	}
}
