package opscmd_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// TestExactIDMeansNoOtherRun: the whole id of a run means that run for every verb, also where it
// is archived, rejected or deleted and the id of a run of the stream begins with it.
func TestExactIDMeansNoOtherRun(t *testing.T) {
	t.Parallel()
	f := newDeletionFolder(t)
	f.WithServer(t, func(b *conn.Conn) {
		clitest.Publish(t, b, clitest.EndedRun("archived")...)
		clitest.Publish(t, b, clitest.EndedRun("deleted")...)
	})
	f.track(t)
	f.delete(t, "deleted")
	if status, _, screen := f.run(t, "archive", "--older-than", "0s"); status != 0 {
		t.Fatal(screen)
	}
	f.WithServer(t, func(b *conn.Conn) {
		clitest.Publish(t, b, clitest.EndedRun("live")...)
		for i, id := range []string{"rejected", "a.b", "../../x", "*"} {
			faults := []events.Fault{{Key: "run_id", Message: "is refused"}}
			clitest.Publish(t, b, events.PipelineRejected{RequestSequence: uint64(1000 + i), RunID: id, Faults: faults})
		}
		for _, id := range []string{"archived-0", "deleted-0", "rejected-0", "live-0", "other"} {
			clitest.Publish(t, b, clitest.EndedRun(id)...)
		}
	})
	f.track(t)
	verbs := map[string][]string{
		"show":    {"show", "ID"},
		"logs":    {"logs", "ID"},
		"watch":   {"watch", "ID"},
		"export":  {"export", "ID", filepath.Join(t.TempDir(), "model")},
		"compare": {"compare", "ID", "other"},
		"cancel":  {"cancel", "ID"},
		"rerun":   {"rerun", "ID", "--from", "evaluation"},
		"delete":  {"delete", "ID", "--archived", "--dry-run"},
	}
	want := map[string]string{"rejected": "is refused", "a.b": "is refused", "../../x": "is refused", "*": "is refused", "deleted": "run deleted was deleted"}
	for _, id := range []string{"live", "archived", "deleted", "rejected", "a.b", "../../x", "*"} {
		for verb, line := range verbs {
			args := append([]string{}, line...)
			args[1] = id
			status, out, screen := f.run(t, args...)
			if strings.Contains(out+screen, id+"-0") {
				t.Errorf("%s %s takes another run: status %d\n%s%s", verb, id, status, out, screen)
			}
			if says, ok := want[id]; ok && (verb != "delete" || id != "deleted") && !strings.Contains(out+screen, says) {
				t.Errorf("%s %s: status %d, want %q\n%s%s", verb, id, status, says, out, screen)
			}
			if want[id] == "" && (verb == "show" || verb == "compare" || verb == "delete") && (status != 0 || !strings.Contains(out+screen, id)) {
				t.Errorf("%s %s: status %d\n%s%s", verb, id, status, out, screen)
			}
		}
	}
}
