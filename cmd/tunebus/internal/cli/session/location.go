package session

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/localup"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/service"
	"github.com/tunebus/tunebus/pipeline/settings"
)

// Location is where a command finds runs and their artifacts: on a running
// server, or in a data folder that no server is using.
type Location struct{ Data, Artifacts string }

// AddFlags adds the flags of a command that works on either.
func (l *Location) AddFlags(c *cobra.Command) {
	c.Flags().StringVar(&l.Data, "data", "", "data folder of run and up, while neither runs on it; default: a running server")
	l.AddArtifactsFlag(c)
}

// AddArtifactsFlag adds the flag of a command that needs a running server.
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
		dir, err := filepath.Abs(filepath.Join(data, "artifacts"))
		if err != nil {
			return nil, fmt.Errorf("artifact store: %w", err)
		}
		if _, err := os.Stat(dir); err != nil {
			return nil, exit.Input(fmt.Errorf("where do the artifacts lie? There is no folder %s; "+
				"--artifacts, or artifacts.url of the settings, names the store that the services use", dir))
		}
		address = "file://" + filepath.ToSlash(dir)
	}
	store, err := OpenStore(ctx, b, address)
	if err != nil {
		return nil, exit.Input(err)
	}
	return store, nil
}

// OpenStore opens the artifact store at an address. A service waits for a bucket
// in NATS that does not exist yet; a command says after a while that there is
// none.
func OpenStore(ctx context.Context, b *conn.Conn, address string) (*artifact.Store, error) {
	if bucket, ok := service.ObjectBucket(address); ok { // the context is of no use to the store after that
		const limit = 15 * time.Second
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit,
			fmt.Errorf("bucket %s was not there within %s; \"tunebus setup\" creates it", bucket, limit))
		defer cancel()
	}
	store, err := service.OpenStore(ctx, b, address)
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = context.Cause(ctx)
	}
	return store, err
}
