package trackertest

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/pipeline/huggingface/hubapi"
	"github.com/tunebus/tunebus/pipeline/huggingface/hubtest"
	"github.com/tunebus/tunebus/pipeline/service"
	"github.com/tunebus/tunebus/services/tracker/publishing"
)

// publishFixture is a bus with runs that ask for pushes, and a Hub.
type publishFixture struct {
	bus   *conn.Conn
	store *artifact.Store
	hub   *hubtest.Server
}

func newPublishFixture(t *testing.T) publishFixture {
	t.Helper()
	store, err := artifact.Open(t.Context(), "file://"+t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return publishFixture{bus: bustest.New(t, topology.Topology{}), store: store, hub: hubtest.New(t)}
}

// end stores a run that has ended and asks for a push of its answers.
func (f publishFixture) end(t *testing.T, run string) {
	t.Helper()
	ref, err := f.store.Put(t.Context(), "runs/"+run+"/inference/1/predictions", "application/jsonl", strings.NewReader(strings.Repeat("{\"answer\": \"a\"}\n", 200)))
	if err != nil {
		t.Fatal(err)
	}
	facts := clitest.EndedRun(run, events.Artifact{Name: events.ArtifactPredictions, Reference: ref})
	accepted := facts[0].(events.PipelineAccepted)
	accepted.Specification.Inferencer.HFUserID = "team"
	facts[0] = accepted
	clitest.Publish(t, f.bus, facts...)
}

// start starts a process that publishes, until the returned function is called.
func (f publishFixture) start(t *testing.T) (stop func()) {
	t.Helper()
	p, err := service.NewProcess(f.bus, f.store, service.Options{Logger: bustest.Logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Wire(bustest.Logger(t), func(s *service.Service) error {
		return publishing.Wire(s, func(c *publishing.Config) {
			c.Endpoint, c.Token, c.Tries, c.Backoff = f.hub.URL, hubtest.Token, 3, 10*time.Millisecond
			c.Requests.Tries, c.Requests.Backoff = 2, time.Millisecond
		})
	}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() {
		if err := p.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	t.Cleanup(stop)
	return stop
}

// published waits for the fact about the answers of a run.
func (f publishFixture) published(t *testing.T, run string) events.PublishedCompleted {
	t.Helper()
	var fact events.PublishedCompleted
	clitest.Eventually(t, "run "+run+" is published", func() bool {
		m, err := history.New(f.bus).Latest(t.Context(), events.PublishedCompleted{RunID: run, What: events.ProductPredictions}.Subject())
		fact, _ = m.Event.(events.PublishedCompleted)
		return err == nil
	})
	return fact
}

// checkOneCommit compares the repository of a run with what was to be pushed.
func (f publishFixture) checkOneCommit(t *testing.T, run string) {
	t.Helper()
	id := "team/name-of-" + run + "-predictions"
	if n := f.hub.Commits(hubapi.Datasets, id); n != 1 {
		t.Errorf("%s has %d commits", id, n)
	}
	if files := f.hub.Files(hubapi.Datasets, id); len(files["predictions.jsonl"]) != 3200 || files["README.md"] == "" {
		t.Errorf("%s has %d files", id, len(files))
	}
}

// TestPublisherIsCutOff: a publisher that ends in the middle of an upload, or whose
// commit got no answer, leaves a push that the next one completes, with one commit.
func TestPublisherIsCutOff(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]string{"upload": "/storage/", "commit": "/commit/"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newPublishFixture(t)
			reached, release := make(chan struct{}), make(chan struct{})
			var once sync.Once
			f.hub.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
				first := false
				if strings.Contains(r.URL.Path, path) {
					once.Do(func() { first = true })
				}
				if !first {
					return false
				}
				if name == "commit" {
					f.hub.Pass(r) // it is stored, and nobody is told
				} else {
					_, _ = io.CopyN(io.Discard, r.Body, 10)
				}
				close(reached)
				<-release
				return true
			})
			stop := f.start(t)
			f.end(t, "r")
			<-reached
			ended := make(chan struct{})
			go func() { defer close(ended); stop() }()
			close(release)
			<-ended
			f.start(t)
			if fact := f.published(t, "r"); fact.Outcome != events.Pushed || fact.Repository != "team/name-of-r-predictions" {
				t.Errorf("%+v", fact)
			}
			f.checkOneCommit(t, "r")
		})
	}
}

// TestTwoPublishers: two trackers push each run once.
func TestTwoPublishers(t *testing.T) {
	t.Parallel()
	f := newPublishFixture(t)
	f.start(t)
	f.start(t)
	for _, run := range []string{"a", "b", "c", "d"} {
		f.end(t, run)
	}
	for _, run := range []string{"a", "b", "c", "d"} {
		if fact := f.published(t, run); fact.Outcome != events.Pushed || fact.Attempt != 1 {
			t.Errorf("%+v", fact)
		}
		f.checkOneCommit(t, run)
	}
}

// TestPublisherGivesUp: what fails for a temporary reason is tried again, and becomes a
// fact with its error after the last try; what the Hub refuses does so at once.
func TestPublisherGivesUp(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status, tries int
		code          string
	}{
		"down":    {http.StatusBadGateway, 3, "hub_unreachable"},
		"refused": {http.StatusForbidden, 1, "hub_refuses"},
		"no Hub":  {http.StatusOK, 3, "hub_bad_answer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newPublishFixture(t)
			f.hub.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.Contains(r.URL.Path, "/preupload/") {
					return false
				}
				_, _ = io.Copy(io.Discard, r.Body)
				w.WriteHeader(c.status)
				return true
			})
			f.start(t)
			f.end(t, "r")
			if fact := f.published(t, "r"); fact.Outcome != events.PushFailed || fact.Tries != c.tries || fact.Error.Code != c.code {
				t.Errorf("%+v, %+v", fact, fact.Error)
			}
		})
	}
}
