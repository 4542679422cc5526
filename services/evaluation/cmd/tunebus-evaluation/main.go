// Tunebus-evaluation works on the jobs of the evaluation phase.
package main

import (
	"context"
	"os"

	"github.com/tunebus/tunebus/events"
	_ "github.com/tunebus/tunebus/pipeline/cloudblob" // artifacts at s3://, gs://, azblob://
	"github.com/tunebus/tunebus/pipeline/service"
	"github.com/tunebus/tunebus/services/evaluation"
)

func main() { os.Exit(service.Main("evaluation", wire)) }

func wire(ctx context.Context, s *service.Service) error {
	cfg := s.Settings.Evaluation
	engine := evaluation.Engine{SaveEvery: cfg.SaveEvery, Judge: evaluation.Judge{
		BaseURL: cfg.JudgeBaseURL, Allowed: cfg.JudgeAllowed, Parallel: cfg.JudgeParallel,
		Key: func(address string) string { return s.Settings.Key(address, os.Getenv) },
	}}
	return s.AddPhase(ctx, events.Evaluation, cfg.Worker(), engine)
}
