package publishing

import "github.com/tunebus/tunebus/pipeline/service"

// Wire adds the publisher to a process. change, if not nil, edits the configuration of
// the settings.
func Wire(s *service.Service, change func(*Config)) error {
	cfg := ConfigFrom(s.Settings)
	cfg.Logger = s.Log
	if change != nil {
		change(&cfg)
	}
	p, err := New(s.Bus, s.Store, cfg)
	if err != nil {
		return err
	}
	s.Add(p.Route())
	return nil
}
