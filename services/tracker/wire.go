package tracker

import (
	"os"

	"github.com/tunebus/tunebus/pipeline/service"
	"github.com/tunebus/tunebus/services/tracker/publishing"
)

// Wire adds the service to a process.
func Wire(s *service.Service) error { return WireWith(nil)(s) }

// WireWith returns a Wire that lets change edit the configuration of the
// settings.
func WireWith(change func(*Config)) service.Wire {
	return func(s *service.Service) error {
		cfg, err := ConfigFrom(s.Settings, os.Getenv)
		if err != nil {
			return err
		}
		cfg.Logger = s.Log
		if change != nil {
			change(&cfg)
		}
		t := New(s.Bus, s.Store, cfg)
		s.Add(t.Routes()...)
		s.Go(t.Run)
		return publishing.Wire(s, cfg.Publish)
	}
}
