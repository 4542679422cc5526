// Tunebus-tracker turns the events of all runs into MLflow runs and reports.
package main

import (
	"context"
	"os"

	_ "github.com/tunebus/tunebus/pipeline/cloudblob" // artifacts at s3://, gs://, azblob://
	"github.com/tunebus/tunebus/pipeline/service"
	"github.com/tunebus/tunebus/pipeline/version"
	"github.com/tunebus/tunebus/services/tracker"
)

func main() { os.Exit(service.Main("tracker", wire)) }

func wire(_ context.Context, s *service.Service) error {
	cfg, err := tracker.ConfigFrom(s.Settings, os.Getenv)
	if err != nil {
		return err
	}
	cfg.Version, cfg.Logger = version.Current(), s.Log
	t := tracker.New(s.Bus, s.Store, cfg)
	s.Add(t.Routes()...)
	s.Go(t.Run)
	return nil
}
