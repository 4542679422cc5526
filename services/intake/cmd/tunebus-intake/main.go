// Tunebus-intake is the service that admits runs: it validates requests, cancels
// runs, and enforces deadlines.
package main

import (
	"context"
	"os"

	"github.com/tunebus/tunebus/pipeline/archive"
	_ "github.com/tunebus/tunebus/pipeline/cloudblob" // artifacts at s3://, gs://, azblob://
	"github.com/tunebus/tunebus/pipeline/service"
	"github.com/tunebus/tunebus/services/intake"
)

func main() { os.Exit(service.Main("intake", wire)) }

func wire(_ context.Context, s *service.Service) error {
	cfg := s.Settings.Intake
	svc := intake.New(s.Bus, intake.Config{
		DataRoots:   s.Settings.Data.Roots,
		Store:       s.Store.ID(),
		Limits:      s.Settings.Limits,
		FullAt:      cfg.FullAt,
		CancelGrace: cfg.Patience,
		Runs:        archive.NewReader(s.Bus, s.Store),
		Logger:      s.Log,
	})
	s.Add(svc.Routes()...)
	return nil
}
