package session

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/localup"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/storeopening"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/settings"
)

// Location is where a command finds runs and their artifacts: on a running
// server, or in a data folder.
type Location struct{ Data, Artifacts string }

// AddFlags adds the flags of a command that works on either.
func (l *Location) AddFlags(c *cobra.Command) {
	l.AddDataFlag(c)
	l.AddArtifactsFlag(c)
}

// AddDataFlag adds the flag of a command that needs no artifacts.
func (l *Location) AddDataFlag(c *cobra.Command) {
	c.Flags().StringVar(&l.Data, "data", "", "data folder of run and up; default: a running server, then the usual folder")
}

// AddArtifactsFlag adds the flag of a command that says where the folder is in another way.
func (l *Location) AddArtifactsFlag(c *cobra.Command) {
	c.Flags().StringVar(&l.Artifacts, "artifacts", "", "artifact store that the services use; default: the settings' artifacts.url, then that of an up on this machine, then artifacts in the data folder")
}

// OpenStore opens the artifact store that the services use.
func (l Location) OpenStore(ctx context.Context, b *conn.Conn, cfg settings.Settings) (*artifact.Store, error) {
	address := l.Artifacts
	if address == "" {
		address = cfg.Artifacts.URL
	}
	if up, ok := localup.Find(b.Server()); ok && address == "" && l.Data == "" {
		address = up.Artifacts
	}
	if address == "" {
		data := l.Data
		if data == "" {
			data = cfg.Data.Folder
		}
		var err error
		if address, err = storeopening.OfFolder(data); err != nil {
			return nil, err
		}
	}
	store, err := storeopening.OpenExisting(ctx, b, address)
	if errors.Is(err, artifact.ErrNoStore) {
		err = fmt.Errorf("%w; --artifacts, or artifacts.url of the settings, names the store that the services use", err)
	}
	return store, storeopening.AsStatus(ctx, err)
}
