package restapi

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/tunebus/tunebus/services/tracker/mlflow"
)

// Target is an MLflow server. It implements mlflow.Target with a type for each
// part of that interface; the types share a client and nothing else.
type Target struct {
	mlflow.Runs
	mlflow.Values
	mlflow.Artifacts
	mlflow.Models
}

// Open returns the target at an address http:// or https://. It sends nothing.
func Open(address *url.URL, opt Options) (*Target, error) {
	switch {
	case address.Host == "":
		return nil, errors.New("open tracking address: no host")
	case address.User != nil:
		// An address travels in events and logs, so it holds no secret.
		return nil, fmt.Errorf("open tracking server %s: user or password in the address: set them as credentials instead", address.Host)
	case address.RawQuery != "" || address.Fragment != "":
		return nil, fmt.Errorf("open tracking server %s: query or fragment in the address", address.Host)
	}
	opt = opt.withDefaults()
	transport := opt.Transport
	if transport == nil {
		transport = newTransport(address.Scheme, opt)
	}
	c := &client{
		base: address.JoinPath("/"),
		opt:  opt,
		http: &http.Client{
			Transport: transport,
			// A redirect turns a POST into a GET and may lead the credential to
			// another host, so it becomes an error that names the cause.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	return &Target{Runs: runs{c}, Values: values{c}, Artifacts: artifacts{c}, Models: models{c}}, nil
}

func newTransport(scheme string, opt Options) *http.Transport {
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		TLSClientConfig:     opt.TLS.Clone(),
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: 2,
		IdleConnTimeout:     time.Minute,
		TLSHandshakeTimeout: 30 * time.Second,
		// A server with several workers answers on a kept-alive connection only
		// after the delayed ACK, about 40 ms; a new connection costs under 2 ms.
		// With TLS the handshake costs more than it saves.
		DisableKeepAlives: scheme == "http",
	}
}
