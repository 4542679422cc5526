package opscmd_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/embedded"
	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// row is the row of a thing in what doctor prints, with single blanks.
func row(out, thing string) string {
	for line := range strings.Lines(out) {
		if text := strings.Join(strings.Fields(line), " "); strings.Contains(text, " "+thing+" ") {
			return text
		}
	}
	return ""
}

// wantRow: doctor ends with a status, and has a row.
func wantRow(t *testing.T, url string, status int, thing, want string, flags ...string) {
	t.Helper()
	got, out, screen := clitest.Run(t, append([]string{"doctor", "--server", url}, flags...)...)
	if text := row(out, thing); got != status || text != want {
		t.Errorf("status %d, want %d\n%s\n%s\n%s%s", got, status, text, want, out, screen)
	}
}

// queued are the facts of a run with a job in a queue.
func queued(run, queue string) []events.Event {
	plan := []events.Step{{Phase: events.Finetune, Queue: queue}}
	return []events.Event{
		events.PipelineAccepted{RunID: run, RunName: run, RequestedAt: time.Now(), Plan: plan},
		events.PhaseRequested{RunID: run, Phase: events.Finetune, Queue: queue, Plan: plan, RequestedAt: time.Now()},
	}
}

// TestDoctorKnowsJobsOfEndedRuns: no worker is asked for where all jobs are of runs that have
// ended.
func TestDoctorKnowsJobsOfEndedRuns(t *testing.T) {
	t.Parallel()
	server := bustest.Start(t, embedded.Options{Listen: "127.0.0.1:0"})
	b := bustest.Connect(t, server)
	if err := topology.Apply(t.Context(), b, topology.Topology{}); err != nil {
		t.Fatal(err)
	}
	waiting := func(n int) {
		t.Helper()
		clitest.Eventually(t, "the jobs are counted", func() bool {
			queues, err := topology.NewInspector(b).Queues(t.Context())
			for _, q := range queues {
				if q.Name == "trl" {
					return err == nil && q.Waiting == n
				}
			}
			return false
		})
	}
	clitest.Publish(t, b, queued("cancelled", "trl")...)
	waiting(1)
	row := "queue finetune/trl jobs waiting 1, worked on 0, free slots 0; "
	wantRow(t, server.URL(), 0, "queue finetune/trl", "look "+row+"start a worker that takes jobs from it")
	clitest.Publish(t, b, events.PipelineCompleted{RunID: "cancelled", Conclusion: events.Cancelled})
	wantRow(t, server.URL(), 0, "queue finetune/trl", "ok "+row+"they are of runs that have ended, and the next worker drops them")
	clitest.Publish(t, b, queued("open", "trl")...)
	waiting(2)
	wantRow(t, server.URL(), 0, "queue finetune/trl",
		"look queue finetune/trl jobs waiting 2, worked on 0, free slots 0; 1 of those that wait are of runs that have ended; start a worker that takes jobs from it")
}

// TestDoctorFindsMissingQueues: a queue that setup creates, and one that an open run waits
// for, whose consumers somebody deleted.
func TestDoctorFindsMissingQueues(t *testing.T) {
	t.Parallel()
	server := bustest.Start(t, embedded.Options{Listen: "127.0.0.1:0"})
	b := bustest.Connect(t, server)
	queues := topology.DefaultQueues()
	queues[events.Finetune] = append(queues[events.Finetune], "big", "spare")
	if err := topology.Apply(t.Context(), b, topology.Topology{Queues: queues}); err != nil {
		t.Fatal(err)
	}
	clitest.Publish(t, b, queued("r", "big")...)
	remove := func(consumers ...string) {
		t.Helper()
		for _, name := range consumers {
			if err := b.Request(t.Context(), conn.ApplyConsumer, func(ctx context.Context, js jetstream.JetStream) error {
				return js.DeleteConsumer(ctx, events.StreamFacts, name)
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
	remove("finetune_spare") // nobody waits for it
	wantRow(t, server.URL(), 0, "queue finetune/spare", "")
	remove("finetune_big")
	wantRow(t, server.URL(), 1, "queue finetune/big",
		`broken queue finetune/big its consumer finetune_big is missing, no run that needs it is accepted, no worker gets the 1 job in it; "tunebus setup --queue finetune=big --server `+server.URL()+`" creates it`)
	remove("inference_builtin")
	wantRow(t, server.URL(), 1, "queue inference/builtin",
		`broken queue inference/builtin its consumer inference_builtin is missing, no run that needs it is accepted; "tunebus setup --server `+server.URL()+`" creates what is missing`)
}

// TestDoctorBeforeTheFirstRun: an artifact store that the first service or submit makes is
// not broken, one that is gone after a run is.
func TestDoctorBeforeTheFirstRun(t *testing.T) {
	t.Parallel()
	server := bustest.Start(t, embedded.Options{Listen: "127.0.0.1:0"})
	b := bustest.Connect(t, server)
	if err := topology.Apply(t.Context(), b, topology.Topology{}); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	clitest.Write(t, dir, "tunebus.toml", "[artifacts]\nurl = 'file://"+filepath.ToSlash(dir)+"/none'\n")
	settings := "--settings=" + filepath.Join(dir, "tunebus.toml")
	address := "file://" + filepath.ToSlash(dir) + "/none"
	wantRow(t, server.URL(), 0, "artifacts", "ok artifacts "+address+" holds no artifact store yet; the first service or submit makes it", settings)
	clitest.Publish(t, b, queued("r", "builtin")...)
	wantRow(t, server.URL(), 1, "artifacts", "broken artifacts open artifact store "+address+": there is no artifact store; look at artifacts.url of the settings", settings)
}

// TestDoctorShowsCopies: of a cluster, and that a bucket has fewer than the facts.
func TestDoctorShowsCopies(t *testing.T) {
	t.Parallel()
	url := bustest.StartCluster(t)[0].ClientURL()
	b := clitest.Connect(t, conn.Options{URL: url, Name: "test", Wait: 10 * time.Second})
	setUp := func(top topology.Topology) {
		t.Helper()
		clitest.Eventually(t, "the cluster has a leader", func() bool { return topology.Apply(t.Context(), b, top) == nil })
	}
	setUp(topology.Topology{})
	wantRow(t, url, 0, "stream TUNEBUS", "ok stream TUNEBUS 0.0 % full, 1 copy")
	setUp(topology.Topology{Replicas: 3})
	wantRow(t, url, 0, "stream TUNEBUS", "ok stream TUNEBUS 0.0 % full, 3 copies")
	wantRow(t, url, 0, "buckets", "ok buckets all are there, 3 copies")
	if err := b.Request(t.Context(), conn.ApplyStream, func(ctx context.Context, js jetstream.JetStream) error {
		s, err := js.Stream(ctx, "KV_"+topology.BucketLeases)
		if err != nil {
			return err
		}
		config := s.CachedInfo().Config
		config.Replicas = 1
		_, err = js.UpdateStream(ctx, config)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	wantRow(t, url, 0, "buckets", `look buckets all are there, but tunebus_leases has 1 copy, and stream TUNEBUS has 3; "tunebus setup --replicas 3 --server `+url+`" makes more`)
}
