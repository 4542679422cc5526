package huggingface

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/tunebus/tunebus/pipeline/dataset/layout"
	"github.com/tunebus/tunebus/pipeline/dataset/source"
	"github.com/tunebus/tunebus/pipeline/huggingface/hubapi"
)

// Options configure a [Client].
type Options struct {
	// Endpoint is the address of the Hub. Default [hubapi.DefaultEndpoint].
	Endpoint string
	// Token is sent to the origin of the endpoint. Default: none.
	Token string
	// Cache is the folder for downloads. Default: that of huggingface_hub, see package
	// cachelist.
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
	api       *hubapi.Client
	cache     cache
	downloads downloader
	log       *slog.Logger
}

// Errors that callers can distinguish with errors.Is, see package hubapi.
var (
	ErrUnreachable = hubapi.ErrUnreachable
	ErrBroken      = hubapi.ErrBroken
	ErrNonsense    = hubapi.ErrNonsense
	ErrRefused     = hubapi.ErrRefused
)

// New returns a client. It sends no request.
func New(opts Options) (*Client, error) {
	api, err := hubapi.New(hubapi.Options{
		Endpoint: opts.Endpoint, Token: opts.Token, Tries: opts.Tries, Backoff: opts.Backoff, IdleTimeout: opts.IdleTimeout, Logger: opts.Logger,
	})
	if err != nil {
		return nil, err
	}
	c := newCache(opts.Cache)
	if opts.Parallel == 0 {
		opts.Parallel = 4
	}
	if opts.Tries == 0 {
		opts.Tries = 5
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	return &Client{
		offline:   opts.Offline,
		api:       api,
		cache:     c,
		downloads: downloader{api: api, cache: c, parallel: opts.Parallel, tries: opts.Tries, log: opts.Logger},
		log:       opts.Logger,
	}, nil
}

// Model downloads a model and returns its folder. id is owner/name or
// owner/name@revision; revision, if not empty, has priority. Only the files
// that tunebus reads are downloaded: configuration, tokenizer, chat template
// and safetensors.
func (c *Client) Model(ctx context.Context, id, revision string) (string, error) {
	r, err := hubapi.ParseRepository(hubapi.Models, id, revision)
	if err != nil {
		return "", err
	}
	dir, files, err := c.snapshot(ctx, r, "", func(all []hubapi.File, _ []byte) (selection, error) {
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
	r, err := hubapi.ParseRepository(hubapi.Datasets, id, "")
	if err != nil {
		return "", err
	}
	src := source.Source{Name: id + selected.String(), Selection: selected}
	part := selected.Name + selected.Config
	dir, files, err := c.snapshot(ctx, r, part, func(all []hubapi.File, card []byte) (selection, error) {
		return datasetFiles(all, card, src)
	})
	if err != nil || files > 0 {
		return dir, err
	}
	r.Revision = "refs/convert/parquet"
	dir, files, err = c.snapshot(ctx, r, part, func(all []hubapi.File, _ []byte) (selection, error) {
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
	return c.check(ctx, hubapi.Models, id)
}

// HasDataset returns an error if a data set is neither in the cache nor on the
// Hub. It downloads nothing.
func (c *Client) HasDataset(ctx context.Context, id string) error {
	return c.check(ctx, hubapi.Datasets, id)
}

func (c *Client) check(ctx context.Context, k hubapi.Kind, id string) error {
	r, err := hubapi.ParseRepository(k, id, "")
	if err != nil {
		return err
	}
	if c.cache.missing != nil {
		return fmt.Errorf("%s: %w", r, c.cache.missing)
	}
	if commit := c.cache.latest(r); commit != "" && c.cache.hasAny(r, commit) {
		return nil
	}
	if c.offline {
		return c.notCached(r)
	}
	_, err = c.api.Head(ctx, r)
	return err
}

// errOffline means that the Hub may not be asked.
var errOffline = errors.New("this service may not ask the Hub (HF_HUB_OFFLINE)")

func (c *Client) notCached(r hubapi.Repository) error {
	return fmt.Errorf("%s: it is not in the cache %s, and %w", r, c.cache.dir, errOffline)
}

// chooser chooses the files of a repository by its list and by its card, which is nil
// for a model.
type chooser func(all []hubapi.File, card []byte) (selection, error)

// snapshot brings the chosen files of a repository into the cache. It returns
// their folder and their number. part is what is selected of a data set.
func (c *Client) snapshot(ctx context.Context, r hubapi.Repository, part string, choose chooser) (string, int, error) {
	if c.cache.missing != nil {
		return "", 0, fmt.Errorf("%s: %w", r, c.cache.missing)
	}
	commit := c.cache.latest(r)
	dir, damage := c.cache.whole(r, commit, part)
	switch {
	case dir != "" && (c.offline || commit == r.Revision): // a commit never changes
		return c.cache.open(r, dir, part)
	case c.offline:
		if damage != nil {
			return c.adopted(r, commit, part, choose, damage, errOffline)
		}
		return c.adopted(r, commit, part, choose, nil, c.notCached(r))
	}
	head, err := c.api.Head(ctx, r)
	switch {
	case errors.Is(err, ErrUnreachable) && dir != "":
		c.log.Warn("the Hub is unreachable or fails; using the cached commit", "repository", r.String(), "commit", commit)
		return c.cache.open(r, dir, part)
	case errors.Is(err, ErrUnreachable) && commit != "":
		c.log.Warn("the Hub is unreachable or fails; looking for what huggingface_hub left", "repository", r.String(), "commit", commit)
		return c.adopted(r, commit, part, choose, damage, err)
	case err != nil:
		return "", 0, err
	}
	newest, damage := c.cache.whole(r, head.Commit, part)
	if damage != nil {
		c.log.Warn("fetching again what is damaged in the cache of the Hub", "repository", r.String(), "error", damage)
	}
	if newest == "" { // else it is cached, or another revision led to it before
		if err := c.download(ctx, r, head.Commit, part, choose); err != nil {
			return "", 0, err
		}
		newest = c.cache.commitDir(r, head.Commit)
	}
	if err := c.cache.setLatest(r, head.Commit); err != nil {
		return "", 0, err
	}
	return c.cache.open(r, newest, part)
}

// adopted uses what huggingface_hub left of a commit, without the Hub. unasked is why the
// Hub is not asked, and damage what is wrong with a copy that tunebus itself fetched, if
// there is one.
func (c *Client) adopted(r hubapi.Repository, commit, part string, choose chooser, damage, unasked error) (string, int, error) {
	if commit == "" {
		return "", 0, unasked
	}
	dir, err := adopt(c.cache, r, commit, part, choose)
	if damage != nil && dir == "" {
		return "", 0, fmt.Errorf("%w; it is fetched again once the Hub answers, or remove the folder %s and fetch all anew; %w", damage, c.cache.repositoryDir(r), unasked)
	}
	if err != nil {
		return "", 0, fmt.Errorf("%w; and the Hub was not asked, or did not answer", err)
	}
	if dir == "" {
		return "", 0, unasked
	}
	return c.cache.open(r, dir, part)
}

func (c *Client) download(ctx context.Context, r hubapi.Repository, commit, part string, choose chooser) error {
	all := readTree(c.cache.treePath(r, commit))
	if all == nil {
		var err error
		if all, err = c.api.Files(ctx, r, commit); err != nil {
			return err
		}
		if err := writeTree(c.cache.treePath(r, commit), all); err != nil {
			return fmt.Errorf("%s: %w", r, err)
		}
	}
	card, err := c.card(ctx, r, commit, all)
	if err != nil {
		return err
	}
	chosen, err := choose(all, card)
	if err != nil {
		return fmt.Errorf("%s: %w", r, err)
	}
	if err := c.downloads.all(ctx, r, commit, chosen.files); err != nil {
		if errors.Is(err, errWrong) { // or the list in the cache is
			_ = os.Remove(c.cache.treePath(r, commit))
		}
		return err
	}
	return c.cache.setComplete(r, commit, part, chosen, cardIn(r, all))
}

// cardIn is the entry of the card of a data set, which is fetched too; none of a model.
func cardIn(r hubapi.Repository, all []hubapi.File) []hubapi.File {
	i := slices.IndexFunc(all, func(f hubapi.File) bool { return f.Path == layout.CardName && f.Size <= layout.MaxCard })
	if r.Kind != hubapi.Datasets || i < 0 {
		return nil
	}
	return all[i : i+1]
}

// card downloads the card of a data set and returns it; nil if there is none.
func (c *Client) card(ctx context.Context, r hubapi.Repository, commit string, all []hubapi.File) ([]byte, error) {
	card := cardIn(r, all)
	if card == nil {
		return nil, nil
	}
	if err := c.downloads.all(ctx, r, commit, card); err != nil {
		return nil, err
	}
	return os.ReadFile(filepath.Join(c.cache.commitDir(r, commit), layout.CardName))
}
