package tracker

import (
	"fmt"
	"path/filepath"

	"github.com/tunebus/tunebus/pipeline/folderaddress"
	"github.com/tunebus/tunebus/pipeline/settings"
	"github.com/tunebus/tunebus/pipeline/version"
	"github.com/tunebus/tunebus/services/tracker/mlflow/restapi"
)

// ConfigFrom makes the configuration from the settings. Further options of the
// MLflow client come from the environment variables of MLflow's own client,
// which getenv looks up. The credentials of the settings go only to the origin
// of the tracking server of the settings; another server may have a key of its
// own.
func ConfigFrom(s settings.Settings, getenv func(string) string) (Config, error) {
	options, err := restapi.OptionsFromEnvironment(getenv)
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
		TrackingURI: uri,
		Allowed:     s.Tracker.Allowed,
		FileRoot:    s.Tracker.FileRoot,
		DataRoots:   s.Data.Roots,
		Reports:     reports,
		Slots:       s.Tracker.Slots,
		UnknownFor:  s.Bus.UnknownFor,
		Version:     version.Current(),
		Credentials: func(address string) restapi.Options {
			if address == uri || settings.SameOrigin(address, uri) {
				return options
			}
			return restapi.Options{Token: s.ListedKey(address, getenv)}
		},
	}, nil
}

// CopyTo returns c with another address for every run. Only this address gets
// the credentials of MLflow's own environment variables, which getenv looks up.
func (c Config) CopyTo(uri string, getenv func(string) string) (Config, error) {
	options, err := restapi.OptionsFromEnvironment(getenv)
	if err != nil {
		return Config{}, err
	}
	if c.To, err = absolute(uri); err != nil {
		return Config{}, err
	}
	if c.To == c.TrackingURI {
		return c, nil // its credentials are set
	}
	c.Credentials = func(address string) restapi.Options {
		if address == c.To {
			return options
		}
		return restapi.Options{}
	}
	return c, nil
}

// absolute makes the path of a file: address absolute.
func absolute(uri string) (string, error) {
	uri, err := folderaddress.Absolute(uri)
	if err != nil {
		return "", fmt.Errorf("tracking address: %w", err)
	}
	return uri, nil
}
