package service

import (
	"log/slog"

	"github.com/tunebus/tunebus/pipeline/hub"
	"github.com/tunebus/tunebus/pipeline/phase"
	"github.com/tunebus/tunebus/pipeline/settings"
)

// Sources say where a phase finds models and data: below the data roots, and
// on the Hub.
func Sources(s settings.Settings, log *slog.Logger) (phase.Sources, error) {
	client, err := hub.New(hub.Options{
		Endpoint: s.Data.HubEndpoint, Token: s.Credentials.HuggingFaceToken, Cache: s.Data.HubCache, Offline: s.Data.HubOffline, Logger: log,
	})
	if err != nil {
		return phase.Sources{}, err
	}
	return phase.Sources{Roots: s.Data.Roots, Hub: client}, nil
}
