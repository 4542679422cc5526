package intake

import (
	"github.com/tunebus/tunebus/pipeline/archive"
	"github.com/tunebus/tunebus/pipeline/service"
)

// Wire adds the service to a process.
func Wire(s *service.Service) error {
	s.Add(New(s.Bus, Config{
		DataRoots:   s.Settings.Data.Roots,
		Store:       s.Store.ID(),
		Limits:      s.Settings.Limits,
		FullAt:      s.Settings.Intake.FullAt,
		CancelGrace: s.Settings.Intake.Patience,
		Runs:        archive.NewReader(s.Bus, s.Store),
		Logger:      s.Log,
	}).Routes()...)
	return nil
}
