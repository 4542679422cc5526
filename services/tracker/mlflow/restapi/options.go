package restapi

import (
	"crypto/tls"
	"net/http"
	"time"
)

// Options are the credentials and limits of a client. The zero value is usable.
type Options struct {
	Username string // basic authentication, with Password
	Password string
	Token    string // bearer token; wins over Username

	Tries   int           // tries of a request that may be repeated; default 5
	Backoff time.Duration // delay before the second try, doubled for each further one up to 10 s; default 250 ms
	Timeout time.Duration // limit of one try, except for artifacts; default 120 s

	TLS       *tls.Config       // for https; default: the system's certificates
	Transport http.RoundTripper // default: one with the system's proxies, and TLS
}

func (o Options) withDefaults() Options {
	if o.Tries < 1 {
		o.Tries = 5
	}
	if o.Backoff <= 0 {
		o.Backoff = 250 * time.Millisecond
	}
	if o.Timeout <= 0 {
		o.Timeout = 2 * time.Minute
	}
	return o
}
