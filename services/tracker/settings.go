package tracker

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/tunebus/tunebus/pipeline/settings"
	"github.com/tunebus/tunebus/services/tracker/mlflow"
)

// ConfigFrom is the configuration that the settings ask for; the MLflow
// client's further options come from the variables that MLflow itself knows,
// which getenv looks up. The credentials go to the origin of the settings'
// tracking server and to no other, which may have a key of its own.
func ConfigFrom(s settings.Settings, getenv func(string) string) (Config, error) {
	options, err := mlflow.OptionsFromEnvironment(getenv)
	if err != nil {
		return Config{}, err
	}
	c := s.Credentials
	options.Username, options.Password, options.Token = c.MLflowUsername, c.MLflowPassword, c.MLflowToken
	uri, err := absolute(s.Tracker.TrackingURI)
	if err != nil {
		return Config{}, err
	}
	reports, err := filepath.Abs(s.Tracker.Reports)
	if err != nil {
		return Config{}, fmt.Errorf("folder of the reports: %w", err)
	}
	return Config{
		TrackingURI: uri, Allowed: s.Tracker.Allowed, FileRoot: s.Tracker.FileRoot, Reports: reports, Slots: s.Tracker.Slots,
		UnknownFor: s.Bus.UnknownFor,
		Credentials: func(address string) mlflow.Options {
			if address == uri || settings.SameOrigin(address, uri) {
				return options
			}
			return mlflow.Options{Token: s.ListedKey(address, getenv)}
		},
	}, nil
}

// CopyTo is c with every run written to another address, which gets the
// credentials of MLflow's own variables, which getenv looks up, and is the only
// one that does.
func (c Config) CopyTo(uri string, getenv func(string) string) (Config, error) {
	options, err := mlflow.OptionsFromEnvironment(getenv)
	if err != nil {
		return Config{}, err
	}
	if c.To, err = absolute(uri); err != nil {
		return Config{}, err
	}
	if c.To == c.TrackingURI {
		return c, nil // which has its credentials
	}
	c.Credentials = func(address string) mlflow.Options {
		if address == c.To {
			return options
		}
		return mlflow.Options{}
	}
	return c, nil
}

// absolute makes the folder of a file: address absolute.
func absolute(uri string) (string, error) {
	path, ok := strings.CutPrefix(uri, "file:")
	if !ok {
		return uri, nil
	}
	path, err := filepath.Abs(strings.TrimPrefix(path, "//"))
	if err != nil {
		return "", fmt.Errorf("tracking address: %w", err)
	}
	return "file://" + filepath.ToSlash(path), nil
}
