package service

import (
	"log/slog"

	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/settings"
)

// BusOptions are the options of a connection by the settings. The server is
// waited for.
func BusOptions(b settings.Bus, name string, log *slog.Logger) conn.Options {
	return conn.Options{
		URL: b.URL, Context: b.Context, Credentials: b.Credentials, NKey: b.NKey, CAFile: b.CAFile, CertFile: b.CertFile, KeyFile: b.KeyFile,
		Name: name, Logger: log,
	}
}
