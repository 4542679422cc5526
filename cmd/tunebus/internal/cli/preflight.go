package cli

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/huggingface"
	"github.com/tunebus/tunebus/pipeline/settings"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/services/evaluation"
)

// lack is something that cannot be had here.
type lack struct {
	what, why, goOn string
	// needed says that the run cannot do without.
	needed bool
}

// preflight looks before the first step what cannot be had here, and says all
// of it at once. It returns an error if the run needs some of it.
func (a *app) preflight(ctx context.Context, cfg settings.Settings, o order) error {
	s := o.specification
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	var lacks []lack
	var mu sync.Mutex
	var all sync.WaitGroup
	look := func(one func() *lack) {
		all.Go(func() {
			if l := one(); l != nil {
				mu.Lock()
				defer mu.Unlock()
				lacks = append(lacks, *l)
			}
		})
	}
	for _, p := range spec.Paths(s) {
		if _, ok := o.files[p.Key]; !ok && needed(s, p.Phase) {
			look(func() *lack { return onHub(ctx, cfg, p) })
		}
	}
	look(func() *lack { return judge(cfg, s) })
	look(func() *lack { return trackingServer(ctx, cfg) })
	look(func() *lack { return trackingFolder(cfg) })
	all.Wait()
	if len(lacks) == 0 {
		return nil
	}
	slices.SortFunc(lacks, func(a, b lack) int { return strings.Compare(a.what, b.what) })
	var text strings.Builder
	stops := false
	for _, l := range lacks {
		stops = stops || l.needed
		fmt.Fprintf(&text, "\n  %s: %s\n      %s", l.what, l.why, l.goOn)
	}
	if stops {
		return fmt.Errorf("the run cannot start; this cannot be had here:%s", text.String())
	}
	a.say("this cannot be had here; the run goes on without it:%s", text.String())
	return nil
}

// onHub looks whether the Hub gives a model or a data set.
func onHub(ctx context.Context, cfg settings.Settings, p spec.Path) *lack {
	c, err := huggingface.New(huggingface.Options{
		Endpoint: cfg.Data.HubEndpoint, Token: cfg.Credentials.HuggingFaceToken, Cache: cfg.Data.HubCache, Offline: cfg.Data.HubOffline, Tries: 1,
	})
	if err == nil {
		if strings.HasSuffix(p.Key, "_data_id") {
			err = c.HasDataset(ctx, p.Value)
		} else {
			err = c.HasModel(ctx, p.Value)
		}
	}
	if err == nil {
		return nil
	}
	return &lack{what: p.Key, why: err.Error(), goOn: "name a local file or folder instead: --set " + p.Key + "=PATH", needed: true}
}

// judge looks whether the judged metrics have a judge.
func judge(cfg settings.Settings, s events.Specification) *lack {
	if !needed(s, events.Evaluation) {
		return nil
	}
	engine := engines(cfg)[events.Evaluation].(evaluation.Engine)
	notes := engine.Judge.Lacks(s.Evaluator)
	if len(notes) == 0 {
		return nil
	}
	return &lack{what: "evaluator.metrics", why: strings.Join(notes, "; "), goOn: "set OPENAI_API_KEY, name another judge by services.evaluation.judge_base_url, or leave these metrics out"}
}

// trackingServer looks whether MLflow answers.
func trackingServer(ctx context.Context, cfg settings.Settings) *lack {
	uri := cfg.Tracker.TrackingURI
	if strings.HasPrefix(uri, "file:") {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(uri, "/")+"/health", nil)
	if err == nil {
		var answer *http.Response
		if answer, err = http.DefaultClient.Do(r); err == nil {
			_ = answer.Body.Close() // whatever it says, somebody is there
			return nil
		}
	}
	return &lack{what: "mlflow.tracking_uri", why: uri + " does not answer; tracking will be pending", goOn: "start it, or track into a folder: --tracking-uri file:./mlruns"}
}

// trackingFolder makes the folder that runs are tracked into.
func trackingFolder(cfg settings.Settings) *lack {
	folder, ok := strings.CutPrefix(cfg.Tracker.TrackingURI, "file:")
	if !ok {
		return nil
	}
	if err := os.MkdirAll(strings.TrimPrefix(folder, "//"), 0o755); err != nil {
		return &lack{what: "mlflow.tracking_uri", why: err.Error() + "; tracking will be pending", goOn: "track into another folder: --tracking-uri file:FOLDER"}
	}
	return nil
}
