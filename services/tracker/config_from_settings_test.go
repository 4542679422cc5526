package tracker

import (
	"testing"

	"github.com/tunebus/tunebus/pipeline/settings"
)

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
