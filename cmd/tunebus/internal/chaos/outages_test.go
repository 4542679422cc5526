package chaos_test

import (
	"context"
	"testing"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/audit"
)

// clientsBack is how long a service may need to notice that the broker is
// back: the client library tries every two seconds.
const clientsBack = 3 * time.Second

// away notes that the broker is about to be killed. The audit excuses what
// nobody can be told of from here on.
func (w *wreck) away() {
	if w.gone.IsZero() { // else it was killed again before it answered
		w.gone = time.Now()
	}
}

// back notes that the broker answers again, once it does.
func (w *wreck) back(t *testing.T) {
	t.Helper()
	if w.gone.IsZero() || !w.broker.again.IsZero() {
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := w.js.AccountInfo(ctx); err != nil {
		return
	}
	w.state.Outages = append(w.state.Outages, audit.Outage{From: w.gone, To: time.Now().Add(clientsBack)})
	w.gone = time.Time{}
}
