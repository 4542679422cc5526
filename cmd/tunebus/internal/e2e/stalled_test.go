package e2e_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/audit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/audit/snapshot"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/processes"
	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/cloudblob/s3test"
)

// TestStoreThatNeverAnswers: the store of one worker of each phase stops to answer,
// while its connections stay open. Each of its jobs goes to another worker, which
// finishes it. Meanwhile the worker takes no other job. Nothing is lost, done twice or
// left over.
func TestStoreThatNeverAnswers(t *testing.T) {
	t.Parallel()
	const bucket = "artifacts"
	s3 := s3test.New(t)
	address := s3.Address(bucket)
	parsed, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	direct := strings.TrimPrefix(parsed.Query().Get("endpoint"), "http://")
	proxy := bustest.NewProxy(t, "nats://"+direct)
	throughProxy := strings.ReplaceAll(address, url.QueryEscape("http://"+direct), url.QueryEscape("http://"+strings.TrimPrefix(proxy.URL, "nats://")))
	c := newRecordingDeployment(t, append(s3.Environ(), "TUNEBUS_ARTIFACTS_URL="+address)...)

	hanging := map[events.Phase]*processes.Process{}
	services := map[events.Phase]string{events.Finetune: processes.Finetune, events.Inference: processes.Inference, events.Evaluation: processes.Evaluation}
	for p, program := range services {
		stall := "TUNEBUS_SERVICES_" + strings.ToUpper(string(p)) + "_STALL_"
		hanging[p] = c.startWorker(t, program, "TUNEBUS_ARTIFACTS_URL="+throughProxy, stall+"FETCH=3s", stall+"UPLOAD=3s", stall+"SAVE=3s")
	}
	for _, w := range hanging {
		w.WaitForLog(t, "msg=ready")
	}
	c.publishRequest(t, "r", long(15, "http://127.0.0.1:1", false))
	c.waitForCheckpoint(t, "r")
	proxy.DropReplies()
	var well []*processes.Process
	for _, p := range events.Phases() {
		run := c.until(t, "r", string(p)+" stalls", func(r events.Run) bool {
			s := r.Phases[p]
			return s != nil && len(s.Attempts) > 0 && s.Attempts[0].Stalled()
		})
		t.Logf("%s: %+v", p, run.Phases[p].Attempts[0].Ended.Error)
		well = append(well, c.startWorker(t, services[p]))
	}
	run := c.ended(t, "r")
	for _, p := range events.Phases() {
		if attempts := run.Phases[p].Attempts; len(attempts) != 2 {
			t.Errorf("%s took %d attempts, want 2", p, len(attempts))
		}
	}
	c.publishRequest(t, "next", long(1, "http://127.0.0.1:1", false))
	for p, s := range c.ended(t, "next").Phases {
		if len(s.Attempts) != 1 || strings.Contains(s.Attempts[0].Started.Worker, fmt.Sprintf("-%d-", hanging[p].PID())) {
			t.Errorf("%s of the next run was worked on by %+v", p, s.Attempts)
		}
	}
	c.waitForMetrics(t)
	proxy.Cut() // the replies that were dropped do not come any more
	proxy.Restore()
	for _, w := range hanging {
		w.WaitForLog(t, "the stalled work has returned")
	}
	for _, w := range hanging {
		w.Stop(t)
	}
	for _, w := range append(well, c.services...) {
		w.Stop(t)
	}
	programs.Start(t, c.dir, processes.Tunebus, c.env, "gc", "--grace", "1s").Wait(t, time.Minute)
	c.audit(t, s3, bucket)
}

// waitForMetrics waits until the tracker has settled all metric points: it asks again
// after a second for those of a run that it does not know yet.
func (c *recordingDeployment) waitForMetrics(t *testing.T) {
	t.Helper()
	js, err := jetstream.New(c.conn)
	if err != nil {
		t.Fatal(err)
	}
	processes.Eventually(t, time.Minute, "metric points are settled", func() error {
		stream, err := js.Stream(t.Context(), events.StreamMetrics)
		if err != nil {
			return err
		}
		consumers := stream.ListConsumers(t.Context())
		for i := range consumers.Info() {
			if i.NumPending > 0 || i.NumAckPending > 0 {
				return fmt.Errorf("%s has %d messages waiting and %d unsettled", i.Name, i.NumPending, i.NumAckPending)
			}
		}
		return consumers.Err()
	})
}

// audit reports every fault of what a cluster at rest left behind, with its store on
// an S3 server.
func (c *recordingDeployment) audit(t *testing.T, s3 *s3test.Server, bucket string) {
	t.Helper()
	const storeID = ".tunebus-store"
	s := snapshot.State{Artifacts: map[string]snapshot.Object{}}
	for _, name := range s3.Keys() {
		key := strings.TrimPrefix(name, bucket+"/")
		content := s3.Content(name)
		if key == storeID {
			s.Store = strings.TrimSpace(string(content))
			continue
		}
		sum := sha256.Sum256(content)
		s.Artifacts[key] = snapshot.Object{Size: int64(len(content)), SHA256: hex.EncodeToString(sum[:]), Content: content}
	}
	err := errors.Join(
		snapshot.ReadStreams(t.Context(), c.url, &s),
		snapshot.ReadMLflow(filepath.Join(c.dir, "mlruns"), &s),
		snapshot.ReadReports(filepath.Join(c.dir, "reports"), &s),
		snapshot.ReadScratch(c.dir, &s),
	)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range audit.Check(s) {
		t.Error(f)
	}
}
