package restapi

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
)

// OptionsFromEnvironment reads the variables that MLflow's own client knows:
//
//	MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD   basic authentication
//	MLFLOW_TRACKING_TOKEN                                bearer token, wins over the user
//	MLFLOW_TRACKING_SERVER_CERT_PATH                     file with the certificates to trust, instead of the system's
//	MLFLOW_TRACKING_CLIENT_CERT_PATH                     file with the client's certificate and key
//	MLFLOW_TRACKING_INSECURE_TLS                         true: no certificate is checked
//	MLFLOW_HTTP_REQUEST_TIMEOUT                          seconds
//	MLFLOW_HTTP_REQUEST_MAX_RETRIES                      tries after the first one
//
// An error lists all faults and shows no value.
func OptionsFromEnvironment(getenv func(string) string) (Options, error) {
	opt := Options{
		Username: getenv("MLFLOW_TRACKING_USERNAME"),
		Password: getenv("MLFLOW_TRACKING_PASSWORD"),
		Token:    getenv("MLFLOW_TRACKING_TOKEN"),
	}
	var faults []error
	number := func(name string) (int, bool) {
		text := getenv(name)
		if text == "" {
			return 0, false
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			faults = append(faults, fmt.Errorf("%s: not a whole number from 0", name))
			return 0, false
		}
		return n, true
	}
	if seconds, ok := number("MLFLOW_HTTP_REQUEST_TIMEOUT"); ok {
		opt.Timeout = time.Duration(seconds) * time.Second
	}
	if retries, ok := number("MLFLOW_HTTP_REQUEST_MAX_RETRIES"); ok {
		opt.Tries = retries + 1
	}
	config, err := tlsFromEnvironment(getenv)
	opt.TLS = config
	return opt, errors.Join(append(faults, err)...)
}

// tlsFromEnvironment returns nil if no variable changes the defaults.
func tlsFromEnvironment(getenv func(string) string) (*tls.Config, error) {
	var config tls.Config
	used := false
	if text := getenv("MLFLOW_TRACKING_INSECURE_TLS"); text != "" {
		insecure, err := strconv.ParseBool(text)
		if err != nil {
			return nil, errors.New("MLFLOW_TRACKING_INSECURE_TLS: neither true nor false")
		}
		config.InsecureSkipVerify, used = insecure, insecure
	}
	if path := getenv("MLFLOW_TRACKING_SERVER_CERT_PATH"); path != "" {
		if config.InsecureSkipVerify {
			return nil, errors.New("MLFLOW_TRACKING_SERVER_CERT_PATH: contradicts MLFLOW_TRACKING_INSECURE_TLS")
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("MLFLOW_TRACKING_SERVER_CERT_PATH: %w", err)
		}
		config.RootCAs, used = x509.NewCertPool(), true
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("MLFLOW_TRACKING_SERVER_CERT_PATH: %s: no certificate in PEM form", path)
		}
	}
	if path := getenv("MLFLOW_TRACKING_CLIENT_CERT_PATH"); path != "" {
		pair, err := tls.LoadX509KeyPair(path, path)
		if err != nil {
			return nil, fmt.Errorf("MLFLOW_TRACKING_CLIENT_CERT_PATH: %w", err)
		}
		config.Certificates, used = []tls.Certificate{pair}, true
	}
	if !used {
		return nil, nil
	}
	return &config, nil
}
