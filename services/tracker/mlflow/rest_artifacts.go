package mlflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// ErrNotProxied says that the server keeps its artifacts in a place that
// clients reach by themselves, with credentials that this package has not.
var ErrNotProxied = errors.New("the server does not proxy artifacts: start it with --artifacts-destination")

// PutArtifact sends the file through the server, whole at every try.
func (c *rest) PutArtifact(ctx context.Context, runID string, a Artifact) error {
	err := c.putArtifact(ctx, runID, a)
	if err != nil {
		return fmt.Errorf("put artifact %s of run %s: %w", a.Path, runID, err)
	}
	return nil
}

func (c *rest) putArtifact(ctx context.Context, runID string, a Artifact) error {
	run, err := c.getRun(ctx, runID)
	if err != nil {
		return err
	}
	root, err := url.Parse(run.Info.ArtifactURI)
	if err != nil || root.Scheme != "mlflow-artifacts" {
		return ErrNotProxied
	}
	// JoinPath escapes what it joins, part by part.
	u := c.base.JoinPath("api/2.0/mlflow-artifacts/artifacts")
	for part := range strings.SplitSeq(strings.Trim(root.Path, "/")+"/"+CleanPath(a.Path), "/") {
		u = u.JoinPath(url.PathEscape(part))
	}
	return c.retry(ctx, func() error { return c.upload(ctx, u, a) })
}

func (c *rest) ListArtifacts(ctx context.Context, runID, dir string) ([]ArtifactInfo, error) {
	query := url.Values{"run_id": {runID}}
	if dir != "" {
		query.Set("path", CleanPath(dir))
	}
	var infos []ArtifactInfo
	for {
		var page struct {
			Files []struct {
				Path string      `json:"path"`
				Dir  bool        `json:"is_dir"`
				Size json.Number `json:"file_size"` // servers differ: 3 or "3"; absent for folders
			} `json:"files"`
			Next string `json:"next_page_token"`
		}
		if err := c.get(ctx, "artifacts/list", query, &page); err != nil {
			return nil, fmt.Errorf("list artifacts of run %s: %w", runID, err)
		}
		for _, f := range page.Files {
			size, err := f.Size.Int64()
			if err != nil && f.Size != "" {
				return nil, fmt.Errorf("list artifacts of run %s: size of %s: %w", runID, f.Path, err)
			}
			infos = append(infos, ArtifactInfo{Path: f.Path, Size: size, Dir: f.Dir})
		}
		if page.Next == "" {
			break
		}
		query.Set("page_token", page.Next)
	}
	slices.SortFunc(infos, func(a, b ArtifactInfo) int { return strings.Compare(a.Path, b.Path) })
	return infos, nil
}
