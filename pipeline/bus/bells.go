package bus

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// Bells are doorbells of many runs behind one set of subscriptions, for a
// worker that looks after one run after the other. What [Bus.Ring] says about
// rings holds for each: whoever hears one has to look at the stream.
type Bells struct {
	mu    sync.Mutex
	doors map[string]map[*Door]bool // by run
}

// Door is one run's doorbell.
type Door struct {
	// Rings gets a value soon after something was published about the run.
	// It is never closed.
	Rings <-chan struct{}

	rings  chan struct{}
	ignore []string
	bells  *Bells
	run    string
}

// Bells listens to subjects of the form <stage>.<event>.<run>[.<detail>] of
// every run, until the bus is closed.
func (b *Bus) Bells(subjects ...string) (*Bells, error) {
	bells := &Bells{doors: map[string]map[*Door]bool{}}
	var subs []*nats.Subscription
	for _, subject := range subjects {
		s, err := b.nc.Subscribe(subject, func(m *nats.Msg) { bells.hear(m.Subject) })
		if err != nil {
			for _, s := range subs {
				_ = s.Unsubscribe() // fails only on a closed connection
			}
			return nil, fmt.Errorf("listen to %s: %w", subject, err)
		}
		subs = append(subs, s)
	}
	// The server has to know of the subscriptions before a door is opened. A
	// connection that is down rings when it is back.
	if err := b.nc.FlushTimeout(2 * time.Second); errors.Is(err, nats.ErrConnectionClosed) {
		return nil, fmt.Errorf("listen: %w", err)
	}
	b.wg.Go(func() {
		status := b.nc.StatusChanged(nats.CONNECTED)
		defer b.nc.RemoveStatusListener(status)
		for {
			select {
			case <-b.life.Done():
				return
			case _, ok := <-status:
				if !ok { // the connection is closed for good
					return
				}
				bells.ringAll()
			}
		}
	})
	return bells, nil
}

// Door opens the doorbell of a run. What is published from here on rings;
// Close has to be called in the end.
func (b *Bells) Door(run string) *Door {
	rings := make(chan struct{}, 1)
	d := &Door{Rings: rings, rings: rings, bells: b, run: run}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.doors[run] == nil {
		b.doors[run] = map[*Door]bool{}
	}
	b.doors[run][d] = true
	return d
}

// Ignore makes the door deaf to one more subject, such as that of the
// listener's own word.
func (d *Door) Ignore(subject string) {
	d.bells.mu.Lock()
	defer d.bells.mu.Unlock()
	d.ignore = append(d.ignore, subject)
}

// Close ends the ringing.
func (d *Door) Close() {
	d.bells.mu.Lock()
	defer d.bells.mu.Unlock()
	delete(d.bells.doors[d.run], d)
	if len(d.bells.doors[d.run]) == 0 {
		delete(d.bells.doors, d.run)
	}
}

func (d *Door) ring() {
	select {
	case d.rings <- struct{}{}:
	default:
	}
}

// hear rings at the doors of the run that the subject names, at once and when
// the stream has surely stored what core NATS showed.
func (b *Bells) hear(subject string) {
	tokens := strings.SplitN(subject, ".", 4)
	if len(tokens) < 3 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for d := range b.doors[tokens[2]] {
		if slices.Contains(d.ignore, subject) {
			continue
		}
		d.ring()
		time.AfterFunc(settling, d.ring)
	}
}

func (b *Bells) ringAll() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, doors := range b.doors {
		for d := range doors {
			d.ring()
		}
	}
}
