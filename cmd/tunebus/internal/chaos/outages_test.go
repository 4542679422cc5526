package chaos_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/audit/snapshot"
)

// caughtUp is how long a service may need, once it is connected again, to tell
// of a checkpoint that was due meanwhile: it tries at once and every second.
const caughtUp = 2 * time.Second

// away notes that the broker is about to be killed or paused. The audit
// excuses what a process can tell nobody of from here on.
func (w *wreck) away() {
	for _, p := range w.all() {
		if _, cut := w.cut[p]; !cut && !p.Ended() { // else it was not back yet
			w.cut[p] = time.Now()
		}
	}
}

// back notes which processes the broker sees again, once it does. One that is
// paused meanwhile may take much longer than the broker.
func (w *wreck) back(t *testing.T) {
	t.Helper()
	if len(w.cut) == 0 || !w.broker.again.IsZero() {
		return
	}
	seen, err := w.connected(t.Context())
	if err != nil {
		return
	}
	for p, since := range w.cut {
		if seen[p.PID()] || p.Ended() {
			w.state.Outages = append(w.state.Outages, snapshot.Outage{PID: p.PID(), From: since, To: time.Now().Add(caughtUp)})
			delete(w.cut, p)
		}
	}
}

// connected are the processes of the services that the broker has a connection
// of, as it reports under /connz.
func (c *town) connected(ctx context.Context) (map[int]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.monitor+"/connz", nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	var report struct {
		Connections []struct {
			Name string `json:"name"`
		} `json:"connections"`
	}
	if err := json.NewDecoder(res.Body).Decode(&report); err != nil {
		return nil, err
	}
	pids := map[int]bool{}
	for _, conn := range report.Connections {
		if i := strings.LastIndex(conn.Name, " "); i >= 0 { // the bus ends it with the process
			if pid, err := strconv.Atoi(conn.Name[i+1:]); err == nil {
				pids[pid] = true
			}
		}
	}
	return pids, nil
}
