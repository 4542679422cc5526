// Tunebus-inference works on the jobs of the inference phase.
package main

import (
	"context"
	"os"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/service"
	"github.com/tunebus/tunebus/services/inference"
)

func main() { os.Exit(service.Main("inference", wire)) }

func wire(ctx context.Context, s *service.Service) error {
	return s.AddPhase(ctx, events.Inference, s.Settings.Inference, inference.Engine{})
}
