package service

import (
	"log/slog"

	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/huggingface"
	"github.com/tunebus/tunebus/pipeline/settings"
)

// Sources say where a phase finds models and data: below the data roots, and
// on the Hub.
func Sources(s settings.Settings, log *slog.Logger) (engine.Sources, error) {
	client, err := huggingface.New(huggingface.Options{
		Endpoint: s.Data.HubEndpoint, Token: s.Credentials.HuggingFaceToken, Cache: s.Data.HubCache, Offline: s.Data.HubOffline, Logger: log,
	})
	if err != nil {
		return engine.Sources{}, err
	}
	return engine.Sources{Roots: s.Data.Roots, Hub: client}, nil
}
