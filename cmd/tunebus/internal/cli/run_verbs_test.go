package cli_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/history"
)

// cell is what a verb does with a run in one state: its exit status, and words that
// it says.
type cell struct {
	status int
	words  []string
}

func says(status int, words ...string) cell { return cell{status, words} }

// The states of what a person names.
const (
	ended     = "ended"
	archived  = "stored" // in the archive
	rejected  = "refused"
	named     = "bad-idea" // the name of the rejected request
	running   = "running"
	deleted   = "gone"
	ambiguous = "ships" // the name of two runs
	unknown   = "nobody"
)

// runVerb is a verb that takes a run.
type runVerb struct {
	name string
	args func(t *testing.T, run string) []string
	// server and folder are the cells of a server and of a data folder; a state that
	// folder does not have is as on a server.
	server, folder map[string]cell
	// patient is set for a verb that asks a server again that does not answer.
	patient bool
}

func verb(words ...string) func(*testing.T, string) []string {
	return func(_ *testing.T, run string) []string {
		return append([]string{words[0], run}, words[1:]...)
	}
}

// common are the cells of most verbs.
func common(own map[string]cell) map[string]cell {
	all := map[string]cell{
		rejected:  says(2, "there is no run refused: its request was rejected at ", "fine_tuner.epochs", "is no number"),
		named:     says(2, "there is no run refused: its request was rejected at "),
		deleted:   says(2, "run gone was deleted"),
		ambiguous: says(2, `"ships" may mean any of 2 runs`, "ship1", "ship2"),
		unknown:   says(2, "nobody is unknown"),
	}
	maps.Copy(all, own)
	return all
}

// runVerbs are the verbs; the last one changes what the others see.
func runVerbs() []runVerb {
	withoutModel := map[string]cell{ended: says(2, "model"), archived: says(2, "model"), running: says(2, "model")}
	return []runVerb{
		{name: "show", args: verb("show"), server: common(map[string]cell{
			ended: says(0, "success"), archived: says(0, "success"), running: says(0, "running"),
			rejected: says(0, "rejected", "fine_tuner.epochs", "is no number"), named: says(0, "bad-idea (refused): rejected at "),
		})},
		{name: "show --json", args: verb("show", "--json"), server: common(map[string]cell{
			ended: says(0, `"status": "success"`), archived: says(0, `"status": "success"`), running: says(0, `"status": "running"`),
			rejected: says(0, `"status": "rejected"`, `"key": "fine_tuner.epochs"`), named: says(0, `"run_name": "bad-idea"`),
		}), folder: map[string]cell{running: says(0, `"status": "stopped"`)}},
		{
			name: "watch", args: verb("watch", "--timeout", "5s"), server: common(map[string]cell{
				ended: says(0, "success"), archived: says(0, "success"), running: says(6, "did not end within 5s"),
			}), folder: map[string]cell{running: says(1, "has not ended, and no service works on the data folder")},
			patient: true,
		},
		{name: "export", args: func(t *testing.T, run string) []string {
			t.Helper()
			return []string{"export", run, t.TempDir() + "/out"}
		}, server: common(withoutModel)},
		{name: "chat", args: verb("chat"), server: common(withoutModel)},
		{name: "serve", args: verb("serve", "--listen", "127.0.0.1:0"), server: common(withoutModel)},
		{name: "rerun", args: verb("rerun"), server: common(map[string]cell{
			// The runs have no specification that can be run again.
			ended: says(2, "rejected"), archived: says(2, "rejected"), running: says(2, "rejected"), unknown: says(2, "no such run"),
		}), folder: map[string]cell{unknown: says(2, "nobody is unknown")}},
		{name: "delete", args: verb("delete", "--dry-run"), server: common(map[string]cell{
			ended: says(0, "would be removed"), archived: says(2, "--archived"), running: says(2, "has not ended", "tunebus cancel running"),
			deleted: says(0, "deleted before"), rejected: says(2, "there is nothing to delete, and the rejection stays", "fine_tuner.epochs"),
		})},
		{name: "replay tracking", args: func(_ *testing.T, run string) []string {
			return []string{"replay", "tracking", "--run", run, "--dry-run"}
		}, server: common(map[string]cell{
			ended: says(0, "1 run"), archived: says(0, "1 run"), running: says(0, "1 still running"), unknown: says(1, "unknown: nobody"),
		}), folder: map[string]cell{unknown: says(2, "nobody is unknown")}},
		{name: "compare", args: func(_ *testing.T, run string) []string { return []string{"compare", run, "ship1"} }, server: common(map[string]cell{
			ended: says(0, "ended", "ship1"), archived: says(0, "stored", "ship1"), running: says(0, "running", "ship1"),
		})},
		{name: "compare, the other way round", args: func(_ *testing.T, run string) []string { return []string{"compare", "ship2", run} }, server: common(map[string]cell{
			ended: says(0, "ended", "ship2"), archived: says(0, "stored", "ship2"), running: says(0, "running", "ship2"),
		})},
		{name: "logs", args: verb("logs"), server: common(map[string]cell{
			ended: says(0, "run ended: success"), archived: says(0, "run ended: success"), running: says(0, "started by w"),
		})},
		{name: "logs --follow", args: verb("logs", "--follow"), server: common(map[string]cell{
			ended: says(0, "run ended: success"), archived: says(0, "run ended: success"),
		}), folder: map[string]cell{running: says(1, "has not ended, and no service works on the data folder")}},
		{name: "cancel", args: verb("cancel", "--no-wait"), server: common(map[string]cell{
			ended: says(2, "has ended already"), archived: says(2, "has ended already"), running: says(0, "cancel of running requested"),
		})},
	}
}

// endedRun is an ended run whose job nobody works on.
func endedRun(run string, artifacts ...events.Artifact) []events.Event {
	facts := clitest.EndedRun(run, artifacts...)
	accepted, job := facts[0].(events.PipelineAccepted), facts[1].(events.PhaseRequested)
	job.Queue = "elsewhere"
	job.Plan = []events.Step{{Phase: job.Phase, Queue: job.Queue}}
	accepted.Plan = job.Plan
	facts[0], facts[1] = accepted, job
	return facts
}

// publishStates publishes runs in all states but the archived one.
func publishStates(t *testing.T, b *conn.Conn, store *artifact.Store) {
	t.Helper()
	put := func(run string) events.Artifact {
		key, err := artifact.Key(run, events.Inference, 1, "x.jsonl")
		if err != nil {
			t.Fatal(err)
		}
		ref, err := store.Put(t.Context(), key, "application/jsonl", strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		return events.Artifact{Name: events.ArtifactPredictions, Reference: ref}
	}
	clitest.Publish(t, b, endedRun(ended, put(ended))...)
	clitest.Publish(t, b, endedRun(deleted, put(deleted))...)
	for _, id := range []string{"ship1", "ship2"} {
		facts := endedRun(id)
		accepted := facts[0].(events.PipelineAccepted)
		accepted.RunName = ambiguous
		facts[0] = accepted
		clitest.Publish(t, b, facts...)
	}
	clitest.Publish(t, b, endedRun(running)[:3]...)
	clitest.Publish(t, b, events.PipelineRejected{RequestSequence: 7, RunID: rejected, RunName: named, Faults: []events.Fault{{Key: "fine_tuner.epochs", Message: "is no number"}}})
}

// TestRunVerbs: each verb that takes a run, with a run in each state, on a server and
// on a data folder.
func TestRunVerbs(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Chdir(t.TempDir()) // reports of a data folder lie below the working folder
	dir := t.TempDir()
	url, shown := clitest.UpWithScreen(t, dir)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("up: %s", shown())
		}
	})
	b := clitest.Connect(t, conn.Options{URL: url, Name: "test"})
	store := openStore(t, "file://"+dir+"/data/artifacts")
	tracked := func(runs ...string) {
		t.Helper()
		for _, run := range runs {
			clitest.Eventually(t, run+" is tracked", func() bool {
				_, err := history.New(b).Latest(t.Context(), events.TrackingCompleted{RunID: run}.Subject())
				return err == nil
			})
		}
	}
	on := map[string][]string{"server": {"--server", url, "--artifacts", "file://" + dir + "/data/artifacts"}}
	ok := func(place string, args ...string) {
		t.Helper()
		if status, out, screen := clitest.Run(t, append(args, on[place]...)...); status != 0 {
			t.Fatalf("%v: status %d\n%s%s", args, status, out, screen)
		}
	}
	clitest.Publish(t, b, endedRun(archived)...)
	tracked(archived)
	ok("server", "archive", "--older-than", "0s")
	publishStates(t, b, store)
	tracked(ended, deleted)
	ok("server", "delete", deleted, "--yes")

	f := clitest.NewDataFolder(t)
	on["folder"] = []string{"--data", f.Dir}
	f.WithServer(t, func(b *conn.Conn) {
		clitest.Publish(t, b, endedRun(archived)...)
		clitest.Publish(t, b, events.TrackingCompleted{RunID: archived})
	})
	ok("folder", "archive", "--older-than", "0s")
	f.WithServer(t, func(b *conn.Conn) {
		publishStates(t, b, f.Store)
		clitest.Publish(t, b, events.TrackingCompleted{RunID: deleted, Links: map[string]string{"config.toml": f.Dir + "/removed/" + deleted + "/config.toml"}})
	})
	ok("folder", "delete", deleted, "--yes")

	for _, v := range runVerbs() {
		for _, place := range []string{"server", "folder"} {
			cells := maps.Clone(v.server)
			if place == "folder" {
				maps.Copy(cells, v.folder)
			}
			for _, state := range slices.Sorted(maps.Keys(cells)) {
				want := cells[state]
				args := append(v.args(t, state), on[place]...)
				status, out, screen := clitest.RunWithInput(t, strings.NewReader(""), args...)
				what := fmt.Sprintf("%s of %s on a %s", v.name, state, place)
				if status != want.status {
					t.Errorf("%s: status %d, want %d\n%s%s", what, status, want.status, out, screen)
					continue
				}
				for _, word := range want.words {
					if !strings.Contains(out+screen, word) {
						t.Errorf("%s: no %q in\n%s%s", what, word, out, screen)
					}
				}
			}
		}
	}
}

// folderVerbs are the verbs that take no run and work on a server or a data folder.
func folderVerbs() []runVerb {
	var all []runVerb
	for _, line := range []string{
		"runs", "runs --json", "gc --dry-run", "archive --older-than 1h --dry-run", "replay tracking --dry-run", "replay requests --since 1h --dry-run",
		"dlq list", "dlq show 1", "dlq retry 1", "dlq discard 1 --force",
	} {
		words := strings.Fields(line)
		all = append(all, runVerb{name: line, args: func(*testing.T, string) []string { return words }})
	}
	return all
}

// TestFolderVerbs: each verb finds the data folder where no server answers, and says so
// once.
func TestFolderVerbs(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("NATS_URL", "")
	t.Chdir(t.TempDir())
	f := clitest.NewDataFolder(t)
	f.WithServer(t, func(b *conn.Conn) { publishStates(t, b, f.Store) })
	t.Setenv("TUNEBUS_DATA_FOLDER", f.Dir)
	for _, v := range folderVerbs() {
		want := 0
		if strings.HasSuffix(v.name, " 1") || strings.Contains(v.name, " 1 ") { // there is no such letter
			want = 2
		}
		status, out, screen := clitest.Run(t, v.args(t, "")...)
		if status != want || strings.Count(screen, "this works on the data folder "+f.Dir) != 1 {
			t.Errorf("%s: status %d, want %d\n%s%s", v.name, status, want, out, screen)
		}
	}
	status, out, screen := clitest.Run(t, "doctor")
	if status != 0 || strings.Contains(out, "broken") || strings.Count(screen, "this works on the data folder") != 1 || !strings.Contains(out, "1 run has not ended") {
		t.Errorf("doctor: status %d\n%s%s", status, out, screen)
	}
}

// TestRunVerbsNowhere: each verb without a server and without a data folder says what it
// looked for.
func TestRunVerbsNowhere(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("NATS_URL", "")
	t.Chdir(t.TempDir())
	for _, v := range append(runVerbs(), folderVerbs()...) {
		nothing := says(1, "127.0.0.1:4222", "no data folder tunebus-data")
		absent := says(1, "127.0.0.1:1")
		if v.patient {
			nothing, absent = says(6, "127.0.0.1:4222"), says(6, "127.0.0.1:1")
		}
		for what, c := range map[string]struct {
			flags []string
			cell
		}{
			"an address": {[]string{"--server", "nats://127.0.0.1:1"}, absent},
			"a folder":   {[]string{"--data", "missing"}, says(2, "missing: no data folder")},
			"nothing":    {nil, nothing},
		} {
			status, out, screen := clitest.RunWithInput(t, strings.NewReader(""), append(v.args(t, "last"), c.flags...)...)
			if status != c.status {
				t.Errorf("%s, %s is named: status %d, want %d\n%s%s", v.name, what, status, c.status, out, screen)
				continue
			}
			for _, word := range c.words {
				if !strings.Contains(screen, word) {
					t.Errorf("%s, %s is named: no %q in\n%s", v.name, what, word, screen)
				}
			}
		}
	}
	if entries, err := os.ReadDir("."); err != nil || len(entries) > 0 {
		t.Errorf("a verb leaves %v in the folder (%v)", entries, err)
	}
}

func openStore(t *testing.T, address string) *artifact.Store {
	t.Helper()
	store, err := artifact.Open(t.Context(), filepath.ToSlash(address))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}
