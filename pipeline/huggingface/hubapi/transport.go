package hubapi

import (
	"net/http"
	"net/url"
	"strings"
	"time"
)

func newHTTPClient(origin *url.URL, token string, wait time.Duration) *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = wait
	return &http.Client{Transport: &tokenTransport{next: transport, origin: origin, token: token}}
}

// tokenTransport adds the token to requests to the origin of the endpoint. It
// does so in the transport, because net/http would copy a header of the first
// request into redirected requests.
type tokenTransport struct {
	next   http.RoundTripper
	origin *url.URL
	token  string
}

// RoundTrip implements [http.RoundTripper].
func (t *tokenTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if t.token != "" && r.URL.Scheme == t.origin.Scheme && strings.EqualFold(r.URL.Host, t.origin.Host) {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+t.token)
	}
	return t.next.RoundTrip(r)
}
