package patience_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/patience"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/embedded"
	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// TestAskAgain: a command that reads asks again where it got no answer, says so each time,
// and gives up after three tries. Any other error ends it.
func TestAskAgain(t *testing.T) {
	t.Parallel()
	b := bustest.Connect(t, bustest.Start(t, embedded.Options{Listen: "127.0.0.1:0"}))
	silent, denied := &conn.NoReplyError{Op: conn.GetMessage}, &conn.NoReplyError{Op: conn.GetMessage, Denied: errors.New("not this one")}
	refused := errors.New("no permission")
	leaderless := &conn.NoLeaderError{Op: conn.ListConsumers}
	for name, c := range map[string]struct {
		answers []error
		want    error
		says    int
	}{
		"an answer":              {[]error{nil}, nil, 0},
		"an answer at last":      {[]error{silent, silent, nil}, nil, 2},
		"no answer":              {[]error{silent, silent, silent}, silent, 2},
		"no permission":          {[]error{denied}, denied, 0},
		"no leader yet":          {[]error{leaderless, nil}, nil, 1},
		"a refusal":              {[]error{refused}, refused, 0},
		"a refusal of the other": {[]error{silent, refused}, refused, 1},
	} {
		var screen bytes.Buffer
		console := view.NewConsole(&bytes.Buffer{}, &screen)
		asked := 0
		err := patience.AskAgain(t.Context(), console, b, func() error {
			asked++
			return c.answers[asked-1]
		})
		if !errors.Is(err, c.want) || asked != len(c.answers) || strings.Count(screen.String(), "asking again") != c.says {
			t.Errorf("%s: %v after %d tries\n%s", name, err, asked, &screen)
		}
	}
}
