package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/local"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus"
	"github.com/tunebus/tunebus/pipeline/phase"
	"github.com/tunebus/tunebus/pipeline/telemetry"
	"github.com/tunebus/tunebus/services/evaluation"
	"github.com/tunebus/tunebus/services/finetune"
	"github.com/tunebus/tunebus/services/inference"
	"github.com/tunebus/tunebus/services/tracker"
	"github.com/tunebus/tunebus/services/tracker/mlflow"
)

// place is where the services of this process keep and find things.
type place struct {
	data, reports, tracking string
	listen                  string
	relaxed                 bool
}

// start starts all services in this process.
func (a *app) start(ctx context.Context, p place) (*local.Local, error) {
	wd, err := os.Getwd()
	if err != nil {
		return nil, fmt.Errorf("working folder: %w", err)
	}
	tracking, err := absolute(p.tracking)
	if err != nil {
		return nil, bad(err)
	}
	reports, err := filepath.Abs(p.reports)
	if err != nil {
		return nil, bad(err)
	}
	options, err := mlflow.OptionsFromEnvironment(os.Getenv)
	if err != nil {
		return nil, bad(err)
	}
	sampler := telemetry.New(ctx)
	return local.Start(ctx, local.Config{
		Data: p.data, Listen: p.listen, RelaxedSync: p.relaxed,
		Engines: map[events.Phase]phase.Engine{
			events.Finetune: finetune.Engine{}, events.Inference: inference.Engine{}, events.Evaluation: evaluation.Engine{},
		},
		Sources: phase.Sources{Roots: []string{wd}},
		Tracker: tracker.Config{
			TrackingURI: tracking, Reports: reports, FileRoot: wd, Version: Version,
			// The credentials belong to the address that this process was
			// given, and to no other.
			Credentials: func(uri string) mlflow.Options {
				if uri == tracking {
					return options
				}
				return mlflow.Options{}
			},
		},
		Layout: bus.Layout{},
		Sample: sampler.Sample, Logger: a.logger(),
	})
}

// absolute makes the folder of a file: address absolute.
func absolute(uri string) (string, error) {
	path, ok := strings.CutPrefix(uri, "file:")
	if !ok {
		return uri, nil
	}
	path, err := filepath.Abs(strings.TrimPrefix(path, "//"))
	if err != nil {
		return "", fmt.Errorf("tracking address: %w", err)
	}
	return "file://" + filepath.ToSlash(path), nil
}
