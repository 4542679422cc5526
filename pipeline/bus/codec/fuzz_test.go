package codec

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

// FuzzDecode: any body on any subject, under any content type, is read as the
// event that the subject promises, or refused with an error that tells whether
// a newer program may know it.
func FuzzDecode(f *testing.F) {
	golden, err := filepath.Glob("../../../events/testdata/golden/*.json")
	if err != nil || len(golden) == 0 {
		f.Fatalf("no event to begin with: %v", err)
	}
	c := New("services")
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
		msg, err := c.Encode(f.Context(), ev, "id")
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
		d, err := c.Decode(subject, h, body)
		if content == structured { // the parameter makes the codec use the SDK
			h[headerContent] = []string{structured + "; charset=utf-8"}
			long, lerr := c.Decode(subject, h, body)
			if !reflect.DeepEqual(d, long) || !sameError(err, lerr) {
				t.Errorf("read as %+v, %v; the SDK reads %+v, %v", d, err, long, lerr)
			}
		}
		if err != nil {
			if !IsUndecodable(err) {
				t.Errorf("an error of no kind: %v", err)
			}
			return
		}
		if d.Event.Type() != typeOf(subject) {
			t.Errorf("a %s stands on %q", d.Event.Type(), subject)
		}
		again, err := c.Encode(t.Context(), d.Event, "id")
		var marshal *json.MarshalerError
		if errors.As(err, &marshal) {
			t.Errorf("what was read cannot be written: %v", err)
		}
		if err == nil {
			if _, err := c.Decode(again.Subject, again.Header, again.Data); err != nil && !IsUndecodable(err) {
				t.Errorf("what was written cannot be read: %v", err)
			}
		}
	})
}
