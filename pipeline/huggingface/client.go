package huggingface

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tunebus/tunebus/pipeline/dataset/layout"
	"github.com/tunebus/tunebus/pipeline/dataset/source"
)

// Options configure a [Client].
type Options struct {
	// Endpoint is the address of the Hub. Default https://huggingface.co.
	Endpoint string
	// Token is sent to the origin of the endpoint. Default: none.
	Token string
	// Cache is the folder for downloads. Default: tunebus/hub in the user's
	// cache folder.
	Cache string
	// Offline forbids requests to the Hub: a repository that is not in the
	// cache is an error.
	Offline bool
	// Parallel is the number of concurrent downloads. Default 4.
	Parallel int
	// Tries is the number of tries of a request that fails for a temporary
	// reason. Default 5.
	Tries int
	// Backoff is the delay before the second try; it doubles with each try.
	// Default 500 ms.
	Backoff time.Duration
	// IdleTimeout is how long a transfer may stand still before it is broken
	// off. Default 2 minutes.
	IdleTimeout time.Duration
	// Logger receives retries and finished downloads. Default: none.
	Logger *slog.Logger
}

// Client downloads repositories. It may be used concurrently.
type Client struct {
	offline   bool
	api       *api
	cache     cache
	downloads downloader
	log       *slog.Logger
}

// New returns a client. It sends no request.
func New(opts Options) (*Client, error) {
	if opts.Endpoint == "" {
		opts.Endpoint = "https://huggingface.co"
	}
	base, err := url.Parse(strings.TrimSuffix(opts.Endpoint, "/"))
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" || base.User != nil {
		return nil, errors.New("address of the Hub: want http://host or https://host without a user")
	}
	if opts.Cache, err = CacheFolder(opts.Cache); err != nil {
		return nil, err
	}
	if opts.Parallel == 0 {
		opts.Parallel = 4
	}
	if opts.Tries == 0 {
		opts.Tries = 5
	}
	if opts.Backoff == 0 {
		opts.Backoff = 500 * time.Millisecond
	}
	if opts.IdleTimeout == 0 {
		opts.IdleTimeout = 2 * time.Minute
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	a := &api{
		base:     base,
		http:     newHTTPClient(base, opts.Token),
		hasToken: opts.Token != "",
		tries:    opts.Tries,
		backoff:  opts.Backoff,
		idle:     opts.IdleTimeout,
		log:      opts.Logger,
	}
	return &Client{
		offline:   opts.Offline,
		api:       a,
		cache:     cache{dir: opts.Cache},
		downloads: downloader{api: a, parallel: opts.Parallel, tries: opts.Tries, log: opts.Logger},
		log:       opts.Logger,
	}, nil
}

// Model downloads a model and returns its folder. id is owner/name or
// owner/name@revision; revision, if not empty, has priority. Only the files
// that tunebus reads are downloaded: configuration, tokenizer, chat template
// and safetensors.
func (c *Client) Model(ctx context.Context, id, revision string) (string, error) {
	r, err := parseRepository(models, id, revision)
	if err != nil {
		return "", err
	}
	dir, files, err := c.snapshot(ctx, r, "", func(all []file, _ []byte) (selection, error) {
		return selection{files: modelFiles(all)}, nil
	})
	if err == nil && files == 0 {
		err = fmt.Errorf("%s: it has no config.json with safetensors; other formats are not read", r)
	}
	return dir, err
}

// Dataset downloads a data set, or the configuration of it that is selected, and
// returns its folder. id is as in [Client.Model]. If the data set has no data files
// of a known format, the Hub's own conversion to Parquet is downloaded.
//
// The folder has the card, which says what belongs to which configuration, and may
// have the files of other configurations too.
func (c *Client) Dataset(ctx context.Context, id string, selected source.Selection) (string, error) {
	r, err := parseRepository(datasets, id, "")
	if err != nil {
		return "", err
	}
	src := source.Source{Name: id + selected.String(), Selection: selected}
	part := selected.Name + selected.Config
	dir, files, err := c.snapshot(ctx, r, part, func(all []file, card []byte) (selection, error) {
		return datasetFiles(all, card, src)
	})
	if err != nil || files > 0 {
		return dir, err
	}
	r.revision = "refs/convert/parquet"
	dir, files, err = c.snapshot(ctx, r, part, func(all []file, _ []byte) (selection, error) {
		return convertedFiles(all, src)
	})
	if err == nil && files == 0 {
		err = fmt.Errorf("%s: it has no data files of a known format (Parquet, JSON lines, JSON, CSV, XLSX)", r)
	}
	if err != nil {
		return "", fmt.Errorf("%w; and the Hub has not converted it", err)
	}
	return dir, nil
}

// HasModel returns an error if a model is neither in the cache nor on the Hub.
// It downloads nothing.
func (c *Client) HasModel(ctx context.Context, id string) error {
	return c.check(ctx, models, id)
}

// HasDataset returns an error if a data set is neither in the cache nor on the
// Hub. It downloads nothing.
func (c *Client) HasDataset(ctx context.Context, id string) error {
	return c.check(ctx, datasets, id)
}

func (c *Client) check(ctx context.Context, k kind, id string) error {
	r, err := parseRepository(k, id, "")
	if err != nil {
		return err
	}
	if commit, _ := c.cache.latest(r, ""); commit != "" && c.cache.hasAny(r, commit) {
		return nil
	}
	if c.offline {
		return c.notCached(r)
	}
	_, err = c.api.commit(ctx, r)
	return err
}

func (c *Client) notCached(r repository) error {
	return fmt.Errorf("%s: it is not in the cache %s, and this service may not ask the Hub (HF_HUB_OFFLINE)", r, c.cache.dir)
}

// chooser chooses the files of a repository by its list and by its card, which is nil
// for a model.
type chooser func(all []file, card []byte) (selection, error)

// snapshot brings the chosen files of a repository into the cache. It returns
// their folder and their number. part is what is selected of a data set.
func (c *Client) snapshot(ctx context.Context, r repository, part string, choose chooser) (string, int, error) {
	commit, cached := c.cache.latest(r, part)
	switch {
	case c.offline && !cached:
		return "", 0, c.notCached(r)
	case c.offline, cached && commit == r.revision: // a commit never changes
		return c.cache.open(r, commit, part)
	}
	newest, err := c.api.commit(ctx, r)
	switch {
	case errors.Is(err, ErrUnreachable) && cached:
		c.log.Warn("the Hub is unreachable; using the cached commit", "repository", r.String(), "commit", commit)
		return c.cache.open(r, commit, part)
	case err != nil:
		return "", 0, err
	case cached && newest == commit:
		return c.cache.open(r, commit, part)
	}
	if !c.cache.isComplete(r, newest, part) { // else another revision led to it before
		if err := c.download(ctx, r, newest, part, choose); err != nil {
			return "", 0, err
		}
	}
	if err := c.cache.setLatest(r, newest); err != nil {
		return "", 0, err
	}
	return c.cache.open(r, newest, part)
}

func (c *Client) download(ctx context.Context, r repository, commit, part string, choose chooser) error {
	all, err := c.api.files(ctx, r, commit)
	if err != nil {
		return err
	}
	dir := c.cache.commitDir(r, commit)
	card, err := c.card(ctx, r, commit, all)
	if err != nil {
		return err
	}
	chosen, err := choose(all, card)
	if err != nil {
		return fmt.Errorf("%s: %w", r, err)
	}
	if err := c.downloads.all(ctx, r, commit, dir, chosen.files); err != nil {
		return err
	}
	if chosen.card != nil {
		if err := writeFile(filepath.Join(dir, layout.CardName), string(chosen.card)); err != nil {
			return fmt.Errorf("%s: %w", r, err)
		}
	}
	return c.cache.setComplete(r, commit, part, len(chosen.files))
}

// card downloads the card of a data set and returns it; nil if there is none.
func (c *Client) card(ctx context.Context, r repository, commit string, all []file) ([]byte, error) {
	i := slices.IndexFunc(all, func(f file) bool { return f.Path == layout.CardName && f.Size <= layout.MaxCard })
	if r.kind != datasets || i < 0 {
		return nil, nil
	}
	dir := c.cache.commitDir(r, commit)
	if err := c.downloads.all(ctx, r, commit, dir, all[i:i+1]); err != nil {
		return nil, err
	}
	return os.ReadFile(filepath.Join(dir, layout.CardName))
}
