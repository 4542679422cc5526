package bus

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/tunebus/tunebus/events"
)

// FuzzDecode: whatever stands on a subject, under whatever content type, it is
// read as the event that the subject promises, or refused with an error that
// says whether a newer program may know it.
func FuzzDecode(f *testing.F) {
	golden, err := filepath.Glob("../../events/testdata/golden/*.json")
	if err != nil || len(golden) == 0 {
		f.Fatalf("no event to begin with: %v", err)
	}
	b := &Bus{name: "services"}
	for _, name := range golden {
		body, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		typ, _, _ := strings.Cut(filepath.Base(name), ".v")
		ev, err := events.Decode(typ, "", body)
		if err != nil {
			f.Fatalf("%s: %v", name, err)
		}
		msg, err := b.encode(f.Context(), ev, "id")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(msg.Subject, structured, msg.Data)
		f.Add(msg.Subject, "", body)
	}
	f.Add("pipeline.requested", "", []byte(`{"specversion":"1.0"}`))
	f.Add("pipeline.requested", "application/cloudevents+json; charset=utf-8", []byte(`{"specversion":"2.0","id":1}`))
	f.Add("finetune.started.r.1", structured, []byte(`{"specversion":"1.0","type":"finetune.started","source":"s","id":"i","data_base64":"e30="}`))
	f.Add("a", structured, []byte(`null`))
	f.Fuzz(func(t *testing.T, subject, content string, body []byte) {
		h := nats.Header{}
		if content != "" {
			h[headerContent] = []string{content}
		}
		said, err := decode(&b.decoder, subject, h, body)
		if content == structured { // the parameter keeps the reader off the short way
			h[headerContent] = []string{structured + "; charset=utf-8"}
			long, lerr := decode(&b.decoder, subject, h, body)
			if !reflect.DeepEqual(said, long) || !sameError(err, lerr) {
				t.Errorf("read as %+v, %v; the reference reads %+v, %v", said, err, long, lerr)
			}
		}
		if err != nil {
			if !Undecodable(err) {
				t.Errorf("an error of no kind: %v", err)
			}
			return
		}
		if said.event.Type() != typeOf(subject) {
			t.Errorf("a %s stands on %q", said.event.Type(), subject)
		}
		again, err := b.encode(t.Context(), said.event, "id")
		var marshal *json.MarshalerError
		if errors.As(err, &marshal) {
			t.Errorf("what was read cannot be written: %v", err)
		}
		if err == nil {
			if _, err := decode(&b.decoder, again.Subject, again.Header, again.Data); err != nil && !Undecodable(err) {
				t.Errorf("what was written cannot be read: %v", err)
			}
		}
	})
}

// FuzzLetter: whatever stands in a dead letter, it is listed, and handed back
// it has its own body and none of the headers that the server acts on.
func FuzzLetter(f *testing.F) {
	f.Add("finetune.requested.r.builtin", "TUNEBUS", "17", "0", "Nats-Msg-Id", []byte("junk"))
	f.Add("pipeline.requested", "TUNEBUS_REQUESTS", "x", "-1", "Authorization", []byte{0})
	f.Add("", "", "", "99999999999999999999", "Tunebus-Dead-Nats-Expected-Stream", []byte(nil))
	f.Fuzz(func(t *testing.T, subject, stream, sequence, cut, header string, body []byte) {
		h := nats.Header{header: {"x"}}
		h[HeaderDeadSubject], h[HeaderDeadStream], h[HeaderDeadSequence], h[HeaderDeadCut] = []string{subject}, []string{stream}, []string{sequence}, []string{cut}
		l := letterOf(entry{sequence: 1, header: h, data: body})
		if l.Run != "" && !events.ValidToken(l.Run) && len(l.Run) <= 64 {
			t.Errorf("run %q", l.Run)
		}
		msg := l.message(events.RetrySubject("tracker", l.Run, l.Sequence))
		if string(msg.Data) != string(body) {
			t.Errorf("body %q became %q", body, msg.Data)
		}
		for k := range msg.Header {
			if strings.HasPrefix(k, "Nats-") {
				t.Errorf("header %s goes on", k)
			}
		}
	})
}
