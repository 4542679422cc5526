package mlflowsync

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/tunebus/tunebus/services/tracker/mlflow"
	"github.com/tunebus/tunebus/services/tracker/mlflow/restapi"
)

func TestOpenRefusesAddresses(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"":                           "scheme",
		"mlruns":                     "scheme",
		"sqlite:///x.db":             "scheme",
		"http://":                    "no host",
		"http://ada:s3cret@example/": "password",
		"http://example/?token=x":    "query",
		"file://elsewhere/mlruns":    "file:./mlruns",
		"http://exa mple\x7f/s3cret": "not a URL",
	} {
		target, err := Open(address, restapi.Options{})
		if err == nil || target != nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("Open(%q): %v, %v; want %q", address, target, err, want)
		}
	}
}

// TestTargetCache: an address is opened once, however many goroutines ask for
// it, and a failure is not kept.
func TestTargetCache(t *testing.T) {
	t.Parallel()
	opened := map[string]int{}
	broken := errors.New("broken")
	cache := targetCache{open: func(uri string) (mlflow.Target, error) {
		if opened[uri]++; uri == "bad" {
			return nil, broken
		}
		return Open("file:"+uri, restapi.Options{})
	}}
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			if _, err := cache.get("a"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for range 2 {
		if _, err := cache.get("bad"); !errors.Is(err, broken) {
			t.Errorf("error %v", err)
		}
	}
	if opened["a"] != 1 || opened["bad"] != 2 {
		t.Errorf("opened %v", opened)
	}
}
