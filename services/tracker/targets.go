package tracker

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/allowedpath"
	"github.com/tunebus/tunebus/pipeline/settings"
	"github.com/tunebus/tunebus/services/tracker/mlflow"
)

// targets are the places that runs are tracked at, one for each address: a
// target keeps its own writers apart, two of one place would not.
type targets struct {
	mu   sync.Mutex
	open map[string]mlflow.Target
}

func (t *targets) at(uri string, open func() (mlflow.Target, error)) (mlflow.Target, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if target, ok := t.open[uri]; ok {
		return target, nil
	}
	target, err := open()
	if err != nil {
		return nil, err
	}
	if t.open == nil {
		t.open = map[string]mlflow.Target{}
	}
	t.open[uri] = target
	return target, nil
}

// target opens the place that the run is written to.
func (s *Service) target(run events.Run) (mlflow.Target, error) {
	uri := s.cfg.To
	if uri == "" {
		var err error
		if uri, err = s.home(run); err != nil {
			return nil, err
		}
	}
	return s.targets.at(uri, func() (mlflow.Target, error) { return s.cfg.Open(uri, s.cfg.Credentials(uri)) })
}

// home is the address that the run belongs to. One of the specification is
// used only if the settings allow its origin.
func (s *Service) home(run events.Run) (string, error) {
	uri := run.Accepted.Specification.MLflow.TrackingURI
	if uri == "" || uri == s.cfg.TrackingURI {
		return s.cfg.TrackingURI, nil
	}
	u, err := url.Parse(uri)
	if err != nil {
		return "", errors.New("mlflow.tracking_uri is no address")
	}
	if u.Scheme == "file" {
		folder, err := filepath.Abs(strings.TrimPrefix(u.Opaque+u.Path, "//"))
		if err != nil {
			return "", err
		}
		if s.cfg.FileRoot == "" {
			return "", errors.New("mlflow.tracking_uri: this tracker's settings allow no folders (services.tracker.file_root)")
		}
		if folder, err = allowedpath.FindNew([]string{s.cfg.FileRoot}, folder); err != nil {
			return "", fmt.Errorf("mlflow.tracking_uri: the tracker may not write to the folder that the run names; it uses %s for folders", s.cfg.FileRoot)
		}
		return "file://" + filepath.ToSlash(folder), nil
	}
	allowed := func(address string) bool { return settings.SameOrigin(address, uri) }
	if !allowed(s.cfg.TrackingURI) && !slices.ContainsFunc(s.cfg.Allowed, allowed) {
		return "", fmt.Errorf("mlflow.tracking_uri: %s://%s is not among the tracking servers that the tracker's settings allow (services.tracker.allowed)", u.Scheme, u.Host)
	}
	return uri, nil
}
