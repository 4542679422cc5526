package archive

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus"
)

// line is a fact in an archive.
type line struct {
	Subject  string    `json:"subject"`
	Sequence uint64    `json:"sequence"`
	Time     time.Time `json:"time"`
	ID       string    `json:"id"`
	// Event is the whole CloudEvent.
	Event json.RawMessage `json:"event"`
}

// encode writes the facts of a run, a line each. The same facts are always
// the same bytes.
func encode(facts []bus.Record) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	for _, f := range facts {
		if err := enc.Encode(line{f.Subject, f.Sequence, f.Time.UTC(), f.ID, f.Body}); err != nil {
			return nil, fmt.Errorf("encode %s: %w", f.Subject, err)
		}
	}
	return out.Bytes(), nil
}

// maxLine bounds a line: an event is at most what the server takes, and that
// is 1 MiB unless somebody raised it.
const maxLine = 16 << 20

// decode reads the facts of a run. Every line has to be a whole fact of the
// run.
func decode(run string, r io.Reader) ([]bus.Record, error) {
	var facts []bus.Record
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	for n := 1; lines.Scan(); n++ {
		f, err := decodeLine(run, lines.Bytes())
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		facts = append(facts, f)
	}
	return facts, lines.Err()
}

func decodeLine(run string, text []byte) (bus.Record, error) {
	var l line
	if err := json.Unmarshal(text, &l); err != nil {
		return bus.Record{}, err
	}
	ev, id, err := bus.ReadEvent(l.Subject, l.Event)
	if err != nil {
		return bus.Record{}, err
	}
	fact, ok := ev.(events.Fact)
	switch {
	case !ok || fact.Run() != run || fact.Subject() != l.Subject:
		return bus.Record{}, fmt.Errorf("%s is no fact of run %s", l.Subject, run)
	case id != l.ID:
		return bus.Record{}, fmt.Errorf("%s: the event's id is %q, the line says %q", l.Subject, id, l.ID)
	case l.Sequence == 0 || l.Time.IsZero():
		return bus.Record{}, errors.New("a fact has a sequence and a time")
	}
	m := bus.Message{Event: ev, ID: id, Subject: l.Subject, Stream: events.StreamFacts, Sequence: l.Sequence, Time: l.Time}
	return bus.Record{Message: m, Body: l.Event}, nil
}
