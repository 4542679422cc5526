package archive

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/history"
)

// line is a fact in an archive.
type line struct {
	Subject  string    `json:"subject"`
	Sequence uint64    `json:"sequence"`
	Time     time.Time `json:"time"`
	ID       string    `json:"id"`
	// Event is the whole CloudEvent.
	Event json.RawMessage `json:"event,omitempty"`
	// Raw has the bytes of the message instead, if the fact could not be decoded
	// when it was archived.
	Raw []byte `json:"raw,omitempty"`
}

// encode writes the facts of a run, one on each line. The same facts always give
// the same bytes, so an archive that is written twice has one key.
func encode(facts []history.StoredFact) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	for _, f := range facts {
		l := line{Subject: f.Subject, Sequence: f.Sequence, Time: f.Time.UTC(), ID: f.ID, Event: f.Body}
		if f.Unreadable != nil {
			l.Event, l.Raw = nil, f.Body
		}
		if err := enc.Encode(l); err != nil {
			return nil, fmt.Errorf("encode %s: %w", f.Subject, err)
		}
	}
	return out.Bytes(), nil
}

// maxLine is the longest line. An event is at most as long as the largest
// message of the server, which is 1 MiB by default.
const maxLine = 16 << 20

// decode reads the facts of a run. Each line must be a complete fact of the
// run.
func decode(run string, r io.Reader) ([]history.StoredFact, error) {
	var facts []history.StoredFact
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

// decodeLine reads a fact. A fact that could not be decoded when it was archived
// may be decoded by this program.
func decodeLine(run string, text []byte) (history.StoredFact, error) {
	var l line
	if err := json.Unmarshal(text, &l); err != nil {
		return history.StoredFact{}, err
	}
	body, raw := []byte(l.Event), len(l.Event) == 0
	if raw {
		body = l.Raw
	}
	m := history.DecodeFact(l.Subject, body)
	tokens := strings.Split(l.Subject, ".")
	_, newer := errors.AsType[*events.UnknownVersionError](m.Unreadable)
	switch {
	case len(tokens) < 3 || tokens[2] != run:
		return history.StoredFact{}, fmt.Errorf("%s is no fact of run %s", l.Subject, run)
	case m.Unreadable != nil && !raw && !newer:
		return history.StoredFact{}, m.Unreadable
	case m.Unreadable == nil && m.ID != l.ID && !raw:
		return history.StoredFact{}, fmt.Errorf("%s: the event's id is %q, the line says %q", l.Subject, m.ID, l.ID)
	case l.Sequence == 0 || l.Time.IsZero():
		return history.StoredFact{}, errors.New("a fact has a sequence and a time")
	}
	m.ID, m.Sequence, m.Time = l.ID, l.Sequence, l.Time
	return history.StoredFact{Message: m, Body: body}, nil
}
