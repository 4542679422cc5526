package restapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/services/tracker/mlflow"
	"github.com/tunebus/tunebus/services/tracker/mlflow/normalize"
)

// errNotProxied means that clients of this server have to write artifacts to a
// store of their own, for which this package has no credentials.
var errNotProxied = errors.New("the server does not proxy artifacts: start it with --artifacts-destination")

// artifacts implements mlflow.Artifacts.
type artifacts struct{ api *client }

// PutArtifact sends the file through the server, the whole file at every try.
func (s artifacts) PutArtifact(ctx context.Context, runID string, a mlflow.Artifact) error {
	err := s.putArtifact(ctx, runID, a)
	if err != nil {
		return fmt.Errorf("put artifact %s of run %s: %w", a.Path, runID, err)
	}
	return nil
}

func (s artifacts) putArtifact(ctx context.Context, runID string, a mlflow.Artifact) error {
	run, err := s.api.getRun(ctx, runID)
	if err != nil {
		return err
	}
	return s.api.put(ctx, run.Info.ArtifactURI, a)
}

// put sends a file to a folder of artifacts that the server proxies.
func (c *client) put(ctx context.Context, folder string, a mlflow.Artifact) error {
	root, err := url.Parse(folder)
	if err != nil || root.Scheme != "mlflow-artifacts" {
		return errNotProxied
	}
	// JoinPath takes escaped elements, so each part is escaped by itself.
	u := c.base.JoinPath("api/2.0/mlflow-artifacts/artifacts")
	for part := range strings.SplitSeq(strings.Trim(root.Path, "/")+"/"+normalize.Path(a.Path), "/") {
		u = u.JoinPath(url.PathEscape(part))
	}
	return c.retry(ctx, func() error { return c.upload(ctx, u, a) })
}

func (s artifacts) ListArtifacts(ctx context.Context, runID, dir string) ([]mlflow.ArtifactInfo, error) {
	query := url.Values{"run_id": {runID}}
	if dir != "" {
		query.Set("path", normalize.Path(dir))
	}
	var infos []mlflow.ArtifactInfo
	for {
		var page struct {
			Files []struct {
				Path string      `json:"path"`
				Dir  bool        `json:"is_dir"`
				Size json.Number `json:"file_size"` // servers differ: 3 or "3"; absent for folders
			} `json:"files"`
			Next string `json:"next_page_token"`
		}
		if err := s.api.get(ctx, "artifacts/list", query, &page); err != nil {
			return nil, fmt.Errorf("list artifacts of run %s: %w", runID, err)
		}
		for _, f := range page.Files {
			size, err := f.Size.Int64()
			if err != nil && f.Size != "" {
				return nil, fmt.Errorf("list artifacts of run %s: size of %s: %w", runID, f.Path, err)
			}
			infos = append(infos, mlflow.ArtifactInfo{Path: f.Path, Size: size, Dir: f.Dir})
		}
		if page.Next == "" {
			break
		}
		query.Set("page_token", page.Next)
	}
	slices.SortFunc(infos, func(a, b mlflow.ArtifactInfo) int { return strings.Compare(a.Path, b.Path) })
	return infos, nil
}
