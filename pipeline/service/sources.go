package service

import (
	"log/slog"

	"github.com/tunebus/tunebus/pipeline/phase"
	"github.com/tunebus/tunebus/pipeline/settings"
)

// Sources say where a phase finds models and data: below the data roots.
func Sources(s settings.Settings, _ *slog.Logger) (phase.Sources, error) {
	return phase.Sources{Roots: s.Data.Roots}, nil
}
