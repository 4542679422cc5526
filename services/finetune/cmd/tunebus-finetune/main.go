// Tunebus-finetune works on the jobs of the fine-tuning phase.
package main

import (
	"context"
	"os"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/llm"
	_ "github.com/tunebus/tunebus/pipeline/cloudblob" // artifacts at s3://, gs://, azblob://
	"github.com/tunebus/tunebus/pipeline/service"
	"github.com/tunebus/tunebus/services/finetune"
)

func main() { os.Exit(service.Main("finetune", wire)) }

func wire(ctx context.Context, s *service.Service) error {
	if !llm.SIMD {
		s.Log.Warn("this program was built without vector instructions; its engine takes several times as long. Build with GOEXPERIMENT=simd")
	}
	return s.AddPhase(ctx, events.Finetune, s.Settings.Finetune, finetune.Engine{})
}
