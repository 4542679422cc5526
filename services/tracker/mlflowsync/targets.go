package mlflowsync

import (
	"errors"
	"fmt"
	"net/url"
	"sync"

	"github.com/tunebus/tunebus/services/tracker/mlflow"
	"github.com/tunebus/tunebus/services/tracker/mlflow/filestore"
	"github.com/tunebus/tunebus/services/tracker/mlflow/restapi"
)

// Open returns the target of a tracking address: http:// and https:// are
// servers, file: is a folder in MLflow's layout (file:./mlruns,
// file:///abs/mlruns). It sends and writes nothing.
func Open(uri string, opt restapi.Options) (mlflow.Target, error) {
	u, err := url.Parse(uri)
	if err != nil {
		// The cause repeats the address, which may hold a password.
		return nil, errors.New("open tracking address: not a URL")
	}
	switch u.Scheme {
	case "http", "https":
		target, err := restapi.Open(u, opt)
		if err != nil {
			return nil, err
		}
		return target, nil
	case "file":
		target, err := filestore.Open(u)
		if err != nil {
			return nil, err
		}
		return target, nil
	default:
		return nil, fmt.Errorf("open tracking address: scheme %q is none of http, https and file", u.Scheme)
	}
}

// targetCache opens one target for each address: a target serialises its own
// writers, two targets of one address would not.
type targetCache struct {
	open func(uri string) (mlflow.Target, error)

	mu      sync.Mutex
	targets map[string]mlflow.Target
}

func (c *targetCache) get(uri string) (mlflow.Target, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if target, ok := c.targets[uri]; ok {
		return target, nil
	}
	target, err := c.open(uri)
	if err != nil {
		return nil, err
	}
	if c.targets == nil {
		c.targets = map[string]mlflow.Target{}
	}
	c.targets[uri] = target
	return target, nil
}
