package session

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/localup"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/folderaddress"
	"github.com/tunebus/tunebus/pipeline/progress"
	"github.com/tunebus/tunebus/pipeline/service"
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
		dir, err := filepath.Abs(filepath.Join(data, "artifacts"))
		if err != nil {
			return nil, fmt.Errorf("artifact store: %w", err)
		}
		if _, err := os.Stat(dir); err != nil {
			return nil, exit.Input(fmt.Errorf("where do the artifacts lie? There is no folder %s; "+
				"--artifacts, or artifacts.url of the settings, names the store that the services use", dir))
		}
		address = folderaddress.Of(dir)
	}
	store, err := OpenExistingStore(ctx, b, address)
	if errors.Is(err, artifact.ErrNoStore) {
		err = fmt.Errorf("%w; --artifacts, or artifacts.url of the settings, names the store that the services use", err)
	}
	return store, AsStatus(ctx, err)
}

// AsStatus gives the error of a store that could not be opened its status: that of bad
// input, unless the store, or the person, only did not wait long enough.
func AsStatus(ctx context.Context, err error) error {
	_, silent := errors.AsType[*StoreTimeoutError](err)
	if err == nil || silent || ctx.Err() != nil {
		return err
	}
	return exit.Input(err)
}

// storeLimit is how long an artifact store may take to answer when it is opened.
const storeLimit = 30 * time.Second

// StoreTimeoutError means that an artifact store did not answer when it was opened.
type StoreTimeoutError struct {
	Store string // its address, without what may be a credential
	Limit time.Duration
}

func (e *StoreTimeoutError) Error() string {
	return fmt.Sprintf("the artifact store %s did not answer within %s: is its address right, and can it be reached from here?", e.Store, e.Limit)
}

// OpenStore opens the artifact store at an address, and gives up a store that does not
// answer. A service waits for a bucket in NATS that does not exist yet; a command says
// after a while that there is none.
func OpenStore(ctx context.Context, b *conn.Conn, address string) (*artifact.Store, error) {
	return openStore(ctx, b, address, service.OpenStore)
}

// OpenExistingStore is [OpenStore] for a command that looks at what services stored:
// an address that is mistyped makes no store.
func OpenExistingStore(ctx context.Context, b *conn.Conn, address string) (*artifact.Store, error) {
	return openStore(ctx, b, address, service.OpenExistingStore)
}

func openStore(ctx context.Context, b *conn.Conn, address string, open func(context.Context, *conn.Conn, string) (*artifact.Store, error)) (*artifact.Store, error) {
	name, _, _ := strings.Cut(address, "?")
	limit, reason := storeLimit, error(&StoreTimeoutError{Store: name, Limit: storeLimit})
	if bucket, ok := service.ObjectBucket(address); ok {
		limit = 15 * time.Second
		reason = fmt.Errorf("bucket %s was not there within %s; \"tunebus setup\" creates it", bucket, limit)
	}
	defer progress.Doing(ctx, "opening the artifact store "+name)()
	opening, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(limit, func() { cancel(reason) })
	store, err := open(opening, b, address)
	timer.Stop() // the store may go on using the context, so that it ends with ctx alone
	if err != nil {
		cancel(nil)
		if errors.Is(context.Cause(opening), reason) {
			err = reason
		}
	}
	return store, err
}
