package modelserver

import (
	"net/http"
	"regexp"
	"testing"
	"time"

	"github.com/tunebus/tunebus/pipeline/modelapi"
	"github.com/tunebus/tunebus/services/inference/modelserver/chatapi"
)

// TestLongPause: who watches is told until when a pause lasts that the server asks for.
func TestLongPause(t *testing.T) {
	t.Parallel()
	c := &caller{client: chatapi.NewClient("http://models.example/v1", "", 1, time.Second)}
	for _, one := range []struct {
		e    modelapi.Error
		want string
	}{
		{modelapi.Error{Status: http.StatusTooManyRequests}, `^the rate limit of the model server at http://models\.example/v1$`},
		{modelapi.Error{Status: http.StatusTooManyRequests, RetryAfter: time.Second}, `/v1$`},
		{modelapi.Error{Status: http.StatusTooManyRequests, RetryAfter: 5 * time.Minute, Longer: "100000 s"}, `/v1, until \d\d:\d\d:\d\d \(it asks for a pause of 100000 s\)$`},
		{modelapi.Error{Status: http.StatusServiceUnavailable, RetryAfter: time.Minute}, `may be loading, until \d\d:\d\d:\d\d$`},
	} {
		if f := c.classify(&one.e, time.Second); !f.again || !regexp.MustCompile(one.want).MatchString(f.waitsFor) {
			t.Errorf("%+v: it waits for %q, want %s", one.e, f.waitsFor, one.want)
		}
	}
}
