package mlflowsync

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/services/tracker/mlflow/restapi"
)

// TestAllowedAddresses: the address of a specification is used only if the
// settings allow it, and no credential is looked up for another one.
func TestAllowedAddresses(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	if err := os.Symlink(t.TempDir(), filepath.Join(root, "escape")); err != nil {
		t.Fatal(err)
	}
	asked := ""
	s := New(Config{
		TrackingURI: "https://mlflow.example", Allowed: []string{"http://second.example:5000"}, FileRoot: root,
		Credentials: func(uri string) restapi.Options {
			asked = uri
			return restapi.Options{}
		},
	}, nil, nil)
	for _, c := range []struct {
		uri   string
		allow bool
	}{
		{"", true},
		{"https://mlflow.example", true},
		{"https://MLflow.example:443/team", true},
		{"http://second.example:5000", true},
		{"http://second.example:5000/path", true},
		{"file:" + filepath.Join(root, "mlruns"), true},
		{"file:" + filepath.Join(root, "escape"), false},
		{"file:" + filepath.Join(root, "escape", "mlruns"), false},
		{"http://mlflow.example", false},
		{"https://mlflow.example:444", false},
		{"http://second.example", false},
		{"https://second.example:5000", false},
		{"http://second.example:5000@evil.example", false},
		{"http://127.0.0.1:5000", false},
		{"file:/etc", false},
		{"file://" + root + "/../elsewhere", false},
		{"ftp://second.example:5000", false},
		{"postgresql://db", false},
	} {
		asked = "none"
		run := events.Run{Accepted: &events.PipelineAccepted{Specification: events.Specification{MLflow: events.MLflow{TrackingURI: c.uri}}}}
		_, err := s.target(run)
		if c.allow != (err == nil) {
			t.Errorf("%q: %v", c.uri, err)
		}
		if !c.allow && asked != "none" {
			t.Errorf("%q: a credential was looked up for %q", c.uri, asked)
		}
	}
}

// TestIsHome: a run is home at the address that it would have without the
// override.
func TestIsHome(t *testing.T) {
	t.Parallel()
	run := func(uri string) events.Run {
		return events.Run{Accepted: &events.PipelineAccepted{Specification: events.Specification{MLflow: events.MLflow{TrackingURI: uri}}}}
	}
	cfg := Config{TrackingURI: "https://mlflow.example", Allowed: []string{"http://second.example:5000"}}
	for _, c := range []struct {
		to, uri string
		home    bool
	}{
		{"", "", true},
		{"", "http://forbidden.example", true},
		{"https://mlflow.example", "", true},
		{"https://mlflow.example", "http://second.example:5000", false},
		{"http://second.example:5000", "http://second.example:5000", true},
		{"http://second.example:5000", "", false},
		{"http://forbidden.example", "http://forbidden.example", false},
	} {
		cfg.To = c.to
		if got := New(cfg, nil, nil).IsHome(run(c.uri)); got != c.home {
			t.Errorf("run of %q written to %q: home %v", c.uri, c.to, got)
		}
	}
}

// TestUsualFolder: a specification with the address that it has anyway says nothing: the run is
// tracked where the tracker is told to, as one that names none.
func TestUsualFolder(t *testing.T) {
	t.Parallel()
	for _, home := range []string{"file:./u2-ml", "https://mlflow.example"} {
		run := events.Run{Accepted: &events.PipelineAccepted{Specification: events.Specification{MLflow: events.MLflow{TrackingURI: "file:./mlruns"}}}}
		if got, err := (addressPolicy{home: home, fileRoot: t.TempDir()}).addressOf(run); err != nil || got != home {
			t.Errorf("beside %s the run goes to %s (%v)", home, got, err)
		}
	}
}
