package mlflow

import (
	"context"
	"errors"
	"fmt"
	"net/http"
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

func (c *rest) upload(ctx context.Context, u *url.URL, a Artifact) error {
	body, err := a.Open(ctx)
	if err != nil {
		return err
	}
	counted := &countingReader{ctx: ctx, r: body, size: a.Size}
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, u.String(), counted)
	if err != nil {
		return errors.Join(fmt.Errorf("upload to %s: invalid request", c.base.Host), body.Close())
	}
	req.ContentLength = a.Size
	if a.Size == 0 {
		req.Body = http.NoBody // else the length counts as unknown
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	err = c.do(req, "upload", nil)
	if counted.broken != nil {
		// The content is at fault, not the server: no further try helps.
		err = counted.broken
	}
	return errors.Join(err, body.Close())
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
				Path string `json:"path"`
				Dir  bool   `json:"is_dir"`
				Size int64  `json:"file_size,string"`
			} `json:"files"`
			Next string `json:"next_page_token"`
		}
		if err := c.get(ctx, "artifacts/list", query, &page); err != nil {
			return nil, fmt.Errorf("list artifacts of run %s: %w", runID, err)
		}
		for _, f := range page.Files {
			infos = append(infos, ArtifactInfo{Path: f.Path, Size: f.Size, Dir: f.Dir})
		}
		if page.Next == "" {
			break
		}
		query.Set("page_token", page.Next)
	}
	slices.SortFunc(infos, func(a, b ArtifactInfo) int { return strings.Compare(a.Path, b.Path) })
	return infos, nil
}
