package opscmd_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/audit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/audit/snapshot"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
)

// auditServices checks what services left behind. Content of the last hour has no
// run any more, so it is not looked at.
func auditServices(t *testing.T, s clitest.Services) snapshot.State {
	t.Helper()
	var got snapshot.State
	err := errors.Join(
		snapshot.ReadStreams(t.Context(), s.URL, &got),
		snapshot.ReadArtifacts(s.Dir+"/data/artifacts", &got),
		snapshot.ReadMLflow(s.Dir+"/mlruns", &got),
		snapshot.ReadReports(s.Dir+"/reports", &got),
	)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range audit.Check(got) {
		t.Error(f)
	}
	return got
}

// TestDeleteOnServer: real runs are deleted while services work; a run that used the
// model of a deleted one stays whole, and nothing brings the deleted one back.
func TestDeleteOnServer(t *testing.T) {
	t.Parallel()
	s := clitest.NewServices(t)
	on := []string{"--server", s.URL, "--artifacts", s.Artifacts()}
	run := func(args ...string) (int, string, string) {
		t.Helper()
		return clitest.Run(t, append(args, on...)...)
	}
	if status, _, screen := s.Submit(t, nil, "--run-id", "gone", "--set", "fine_tuner.epochs=1"); status != 0 {
		t.Fatalf("submit: status %d\n%s", status, screen)
	}
	if status, _, screen := run("rerun", "gone", "--from", "inference", "--run-id", "kept", "--wait=tracked"); status != 0 {
		t.Fatalf("rerun: status %d\n%s", status, screen)
	}
	var got deletionReport
	clitest.Result(t, &got, append([]string{"delete", "gone", "--yes"}, on...)...)
	if got.Pending || got.Removed.Count == 0 || got.Kept.Count == 0 || len(got.UsedBy) != 1 || got.UsedBy[0] != "kept" {
		t.Errorf("delete: %+v", got)
	}
	auditServices(t, s)
	if status, _, screen := run("rerun", "kept", "--from", "inference", "--run-id", "again", "--wait=tracked"); status != 0 {
		t.Errorf("a rerun with the model of the deleted run: status %d\n%s", status, screen)
	}
	if status, _, screen := run("submit", s.Dir+"/small.toml", "--run-id", "gone"); status != 2 || !strings.Contains(screen, "was deleted") {
		t.Errorf("submit with the id of a deleted run: status %d\n%s", status, screen)
	}
	status, out, screen := clitest.Run(t, "replay", "requests", "--from-seq", "1", "--dry-run", "--server", s.URL)
	if status != 0 || strings.Contains(out, "gone") || !strings.Contains(screen, "request 1 is left out: its run was deleted") {
		t.Errorf("replay: status %d\n%s%s", status, out, screen)
	}
	got = deletionReport{}
	clitest.Result(t, &got, append([]string{"delete", "kept", "again", "--yes"}, on...)...)
	if got.Pending || len(got.UsedBy) != 0 {
		t.Errorf("delete of the rest: %+v", got)
	}
	for key := range auditServices(t, s).Artifacts {
		if strings.HasPrefix(key, "runs/") {
			t.Errorf("%s is left", key)
		}
	}
}
