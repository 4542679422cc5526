package intake

import (
	"context"

	"github.com/tunebus/tunebus/pipeline/archive"
	"github.com/tunebus/tunebus/pipeline/artifact/content"
	"github.com/tunebus/tunebus/pipeline/service"
	"github.com/tunebus/tunebus/services/intake/request"
)

// Wire adds the service to a process.
func Wire(s *service.Service) error { return WireHolding(nil)(s) }

// WireHolding returns a Wire whose service leaves the requests alone that hold reports, see
// [Config.Hold].
func WireHolding(hold func(ctx context.Context, request uint64) bool) service.Wire {
	return func(s *service.Service) error {
		var local request.LocalInputs
		if s.Inputs != nil {
			local = s.Inputs
		}
		s.Add(New(s.Bus, Config{
			Local:       local,
			DataRoots:   s.Settings.Data.Roots,
			Store:       s.Store.ID(),
			Limits:      s.Settings.Limits,
			FullAt:      s.Settings.Intake.FullAt,
			CancelGrace: s.Settings.Intake.Patience,
			Runs:        archive.NewReader(s.Bus, s.Store),
			Inputs:      content.Reserver{Store: s.Store},
			Hold:        hold,
			Logger:      s.Log,
		}).Routes()...)
		return nil
	}
}
