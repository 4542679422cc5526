package tracker

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/settings"
	"github.com/tunebus/tunebus/services/tracker/mlflow"
)

// TestWhereRunsMayBeTracked: an address of a specification is used only where
// the settings allow it, and gets a credential only if it is the settings' own.
func TestWhereRunsMayBeTracked(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	if err := os.Symlink(t.TempDir(), filepath.Join(root, "escape")); err != nil {
		t.Fatal(err)
	}
	asked := ""
	s := New(nil, nil, Config{
		TrackingURI: "https://mlflow.example", Allowed: []string{"http://second.example:5000"}, FileRoot: root,
		Credentials: func(uri string) mlflow.Options {
			asked = uri
			return mlflow.Options{}
		},
	})
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
		asked = "nobody"
		run := events.Run{Accepted: &events.PipelineAccepted{Specification: events.Specification{MLflow: events.MLflow{TrackingURI: c.uri}}}}
		_, err := s.target(run)
		if c.allow != (err == nil) {
			t.Errorf("%q: %v", c.uri, err)
		}
		if !c.allow && asked != "nobody" {
			t.Errorf("%q: a credential was looked up for %q", c.uri, asked)
		}
	}
}

func TestCredentialsBelongToTheSettingsServer(t *testing.T) {
	t.Parallel()
	cfg, err := ConfigFrom(settings.Settings{
		Tracker:     settings.Tracker{TrackingURI: "https://mlflow.example", Reports: t.TempDir()},
		Credentials: settings.Credentials{MLflowUsername: "ann", MLflowPassword: "s3cret", MLflowToken: "t0ken", Keys: []string{"http://second.example:5000=SECOND"}},
	}, func(name string) string { return map[string]string{"SECOND": "own"}[name] })
	if err != nil {
		t.Fatal(err)
	}
	for _, own := range []string{"https://mlflow.example", "https://mlflow.example/team", "https://MLflow.example:443"} {
		if o := cfg.Credentials(own); o.Username != "ann" || o.Password != "s3cret" || o.Token != "t0ken" {
			t.Errorf("%s: %q, %q, %q", own, o.Username, o.Password, o.Token)
		}
	}
	if o := cfg.Credentials("http://second.example:5000/x"); o.Username != "" || o.Password != "" || o.Token != "own" {
		t.Errorf("a server with a key of its own: %q, %q, %q", o.Username, o.Password, o.Token)
	}
	for _, other := range []string{"https://mlflow.example.evil.example", "http://mlflow.example", "https://mlflow.example:444", "http://second.example", "https://mlflow.example@evil.example", ""} {
		if o := cfg.Credentials(other); o.Username != "" || o.Password != "" || o.Token != "" {
			t.Errorf("%q gets a credential", other)
		}
	}
}
