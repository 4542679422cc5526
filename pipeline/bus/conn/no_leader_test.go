package conn

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

// TestNoLeader: a cluster without a leader says so, and is asked again; another refusal is an
// answer.
func TestNoLeader(t *testing.T) {
	t.Parallel()
	for code, want := range map[jetstream.ErrorCode]bool{codeClusterNotAvailable: true, codeClusterNoLeader: true, jetstream.JSErrCodeStreamNotFound: false} {
		refusal := &jetstream.APIError{Code: 503, ErrorCode: code, Description: "temporarily unavailable"}
		err := fmt.Errorf("list queues: %w", asNoLeader(ListConsumers, fmt.Errorf("nats: %w", refusal)))
		if IsNoLeader(err) != want || IsUnanswered(err) != want || strings.Contains(err.Error(), "has no leader now") != want || !errors.Is(err, refusal) {
			t.Errorf("%d: %v", code, err)
		}
	}
	if plain := errors.New("x"); IsNoLeader(asNoLeader(Publish, plain)) {
		t.Error("an error of another kind is one of a cluster without a leader")
	}
}

// TestSilenceOfACluster: where the server is one of several, the error does not blame it.
func TestSilenceOfACluster(t *testing.T) {
	t.Parallel()
	cause := errors.New("timeout")
	for want, err := range map[string]*NoReplyError{
		"get batch: no reply from NATS at a:1 within 0s: timeout":                                                          {Op: GetBatch, Server: "a:1", Err: cause},
		"get batch: no reply through NATS at a:1 within 0s, from that server or another one of its cluster three: timeout": {Op: GetBatch, Server: "a:1", Cluster: "three", Err: cause},
	} {
		if err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
