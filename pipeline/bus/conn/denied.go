package conn

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// DeniedError means that the user of the connection may not send a request. The server
// sends no reply to it; it reports the subject as an error of the connection.
type DeniedError struct {
	Op  Op
	Err error
}

func (e *DeniedError) Error() string {
	return fmt.Sprintf("%s: the user of this connection may not do that: %v", e.Op, e.Err)
}

// Unwrap returns the cause.
func (e *DeniedError) Unwrap() error { return e.Err }

// IsDenied reports whether an error means that the server refused the request by
// permissions, or most likely did: another try does not help.
func IsDenied(err error) bool {
	if _, ok := errors.AsType[*DeniedError](err); ok {
		return true
	}
	silent, ok := errors.AsType[*NoReplyError](err)
	return ok && silent.Denied != nil
}

// denials are what the server refused by permissions, and the requests that wait for
// replies, which nats.go would wait out.
type denials struct {
	mu   sync.Mutex
	last error
	at   time.Time
	open map[*request]context.CancelCauseFunc
}

// add adds a request that waits for its reply.
func (d *denials) add(r *request, end context.CancelCauseFunc) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open == nil {
		d.open = map[*request]context.CancelCauseFunc{}
	}
	d.open[r] = end
}

func (d *denials) remove(r *request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.open, r)
}

// since is a refusal that was reported after a time; nil if there is none.
func (d *denials) since(begin time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.at.Before(begin) {
		return nil
	}
	return d.last
}

// report takes an error of the connection. If it is the refusal of a request to
// JetStream, and only one request waits, that one ends with it.
func (d *denials) report(err error) {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last, d.at = err, time.Now()
	if len(d.open) != 1 || !isRequest(err.Error()) {
		return
	}
	for r, end := range d.open {
		end(&DeniedError{Op: r.op, Err: err})
	}
}

// isRequest reports whether a refusal is that of a request of nats.go: no subscription, no
// pull, and none of [Conn.RequestMany], which ends by itself.
func isRequest(refusal string) bool {
	const publish = `Publish to "$JS.API.`
	return strings.Contains(refusal, publish) && !strings.Contains(refusal, publish+"CONSUMER.MSG.NEXT") && !strings.Contains(refusal, publish+"DIRECT.GET")
}
