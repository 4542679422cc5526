package evaluation

import (
	"os"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/service"
	"github.com/tunebus/tunebus/pipeline/settings"
)

// Wire adds the service to a process.
func Wire(s *service.Service) error {
	return s.AddPhase(events.Evaluation, engine.Builtin, Engine{
		SaveEvery: s.Settings.Evaluation.SaveEvery,
		Judge:     JudgeFrom(s.Settings, os.Getenv),
	})
}

// JudgeFrom returns the judge of the settings. Getenv looks up the keys of
// further origins, which the settings list by the names of variables.
func JudgeFrom(s settings.Settings, getenv func(string) string) Judge {
	return Judge{
		BaseURL:  s.Evaluation.JudgeBaseURL,
		Allowed:  s.Evaluation.JudgeAllowed,
		Parallel: s.Evaluation.JudgeParallel,
		Key:      func(address string) string { return s.Key(address, getenv) },
	}
}
