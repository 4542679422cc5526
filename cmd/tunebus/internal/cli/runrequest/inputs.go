package runrequest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/allowedpath"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/artifact/content"
	"github.com/tunebus/tunebus/pipeline/artifact/manifest"
	"github.com/tunebus/tunebus/pipeline/localinput"
	"github.com/tunebus/tunebus/pipeline/runconfig"
)

// Inputs make references of the local files of a request.
type Inputs struct {
	// Local is the data folder of services on this machine, which read models and
	// data sets where they lie. Nil: everything is uploaded.
	Local *localinput.Folder
	// Roots are the data roots of these services. Nil: the person who asks owns
	// the data folder, so that they may read everything.
	Roots []string
	// Store returns the artifact store. It is called if something has to be
	// uploaded.
	Store func(ctx context.Context) (*artifact.Store, error)
	// Say tells the person how far the reading and the uploading are.
	Say func(format string, args ...any)
}

// stays reports whether a file or folder stays where it is. Answers are uploaded:
// reports read them as well.
func (in Inputs) stays(key, path string) bool {
	abs, err := filepath.Abs(path)
	if in.Local == nil || err != nil || !localinput.Named(abs) || key == runconfig.Predictions || key == runconfig.Baseline {
		return false
	}
	if in.Roots == nil {
		return true
	}
	_, err = allowedpath.Find(in.Roots, abs)
	return err == nil
}

// Uploads reports whether files of the request have to be uploaded.
func (r Request) Uploads(in Inputs) bool {
	if r.CopyInputs {
		in.Local = nil
	}
	for key, path := range r.Files {
		if in.uploads(key, path, r.Images) {
			return true
		}
	}
	return false
}

// uploads reports whether a file or folder is uploaded, because it does not stay or because
// it names images.
func (in Inputs) uploads(key, path string, images map[string][]string) bool {
	return len(images[key]) > 0 || !in.stays(key, path)
}

// ErrNoStore means that files have to be uploaded and nobody said where to.
var ErrNoStore = errors.New("the specification names local files: --artifacts, or artifacts.url of the settings, " +
	"says where to upload them, such as file:///srv/tunebus/artifacts")

// References returns references to files and folders, by the same keys. images are
// the files that data files name, relative to their folders: such a data file is
// uploaded with them. release has to be called when the request is published, or will
// not be.
func (in Inputs) References(ctx context.Context, files map[string]string, images map[string][]string) (refs map[string]events.Reference, release func(), err error) {
	refs, uploads := map[string]events.Reference{}, map[string]string{}
	release = func() {}
	ctx = manifest.Watch(ctx, in.watcher())
	for key, path := range files {
		if in.uploads(key, path, images) {
			uploads[key] = path
			continue
		}
		if in.Roots == nil {
			refs[key], err = in.Local.Accept(ctx, path)
		} else {
			refs[key], err = in.Local.Describe(ctx, path)
		}
		if err != nil {
			return nil, release, fmt.Errorf("read %s: %w", key, err)
		}
	}
	if len(uploads) == 0 {
		return refs, release, nil
	}
	store, err := in.Store(ctx)
	if err != nil {
		return nil, release, err
	}
	up := content.NewUploader(store, manifest.Digest)
	for key, names := range images {
		up.Take(key, names)
	}
	uploaded, err := up.Upload(ctx, uploads)
	maps.Copy(refs, uploaded)
	return refs, up.Close, err
}

// watcher tells how far a large file is, every few seconds.
func (in Inputs) watcher() manifest.Watcher {
	const every = 3 * time.Second
	said := time.Now()
	return func(path string, done, size int64) {
		if in.Say == nil || time.Since(said) < every {
			return
		}
		said = time.Now()
		in.Say("reading %s: %s of %s", path, megabytes(done), megabytes(size))
	}
}

func megabytes(n int64) string {
	return strings.TrimSuffix(fmt.Sprintf("%.1f", float64(n)/1e6), ".0") + " MB"
}
