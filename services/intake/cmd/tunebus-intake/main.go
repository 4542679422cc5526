// Tunebus-intake is the front desk: it checks and admits requests, cancels
// runs, and watches deadlines.
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
	desk := intake.New(s.Bus, intake.Config{
		DataRoots: s.Settings.Data.Roots, Store: s.Store.ID(), Limits: s.Settings.Limits,
		FullAt: cfg.FullAt, Patience: cfg.Patience, Runs: archive.Reader{Bus: s.Bus, Store: s.Store}, Logger: s.Log,
	})
	s.Add(desk.Routes()...)
	return nil
}
