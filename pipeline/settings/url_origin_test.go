package settings_test

import (
	"testing"

	"github.com/tunebus/tunebus/pipeline/settings"
)

// TestRedacted: what may be printed of an address has no user and no password, also of
// one that cannot be read.
func TestRedacted(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"http://ann:hush@host:1/x":               "http://xxxxx@host:1/x",
		"http://ann:hu/sh@host":                  "http://xxxxx@host",
		"nats://a:1,nats://ann:hush@b:2":         "nats://a:1,nats://xxxxx@b:2",
		"ann:hush@host:4222":                     "xxxxx@host:4222",
		"http://host:1/x":                        "http://host:1/x",
		"file:///a/b":                            "file:///a/b",
		"127.0.0.1:4222":                         "127.0.0.1:4222",
		"nats://token@a:1,nats://token@[::1]:42": "nats://xxxxx@a:1,nats://xxxxx@[::1]:42",
	} {
		if got := settings.Redacted(address); got != want {
			t.Errorf("%s became %s, want %s", address, got, want)
		}
	}
}

// TestTrackingAddress: an address of MLflow is a folder or a server, and holds no
// credentials.
func TestTrackingAddress(t *testing.T) {
	t.Parallel()
	for uri, ok := range map[string]bool{
		"file:./mlruns": true, "http://h:1": true, "https://h/x": true,
		"garbage": false, "": false, "ftp://h": false, "http://ann:hush@h": false, "http://h/?token=hush": false,
	} {
		if err := settings.TrackingAddress(uri); (err == nil) != ok {
			t.Errorf("%s: %v", uri, err)
		}
	}
}
