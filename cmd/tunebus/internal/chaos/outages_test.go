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

// registrationTime is the time in which a reconnected service registers a
// checkpoint that was due during the outage: it tries at once and every second.
const registrationTime = 2 * time.Second

// recordOutage records that NATS is about to be killed or paused. From then on
// the audit excuses a checkpoint that a process cannot register.
func (f *faultInjector) recordOutage() {
	for _, p := range f.allServices() {
		if _, ok := f.disconnected[p]; !ok && !p.Ended() { // after an earlier outage it may not be reconnected yet
			f.disconnected[p] = time.Now()
		}
	}
}

// recordReconnects records the end of the outage for each process that NATS has
// a connection of again. A paused process may reconnect much later than NATS
// restarts.
func (f *faultInjector) recordReconnects(t *testing.T) {
	t.Helper()
	if len(f.disconnected) == 0 || !f.server.running() {
		return
	}
	connected, err := f.connectedPIDs(t.Context())
	if err != nil {
		return
	}
	for p, since := range f.disconnected {
		if connected[p.PID()] || p.Ended() {
			f.state.Outages = append(f.state.Outages, snapshot.Outage{PID: p.PID(), From: since, To: time.Now().Add(registrationTime)})
			delete(f.disconnected, p)
		}
	}
}

// connectedPIDs returns the processes that have a connection to NATS. The
// endpoint /connz of NATS lists them.
func (c *testDeployment) connectedPIDs(ctx context.Context) (map[int]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.nodes[0].monitor+"/connz", nil)
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
		if i := strings.LastIndex(conn.Name, " "); i >= 0 { // package conn ends the name with the process id
			if pid, err := strconv.Atoi(conn.Name[i+1:]); err == nil {
				pids[pid] = true
			}
		}
	}
	return pids, nil
}
