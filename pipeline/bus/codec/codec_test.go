package codec

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"

	"github.com/tunebus/tunebus/events"
)

// each calls try for every event of the contract, decoded from its golden
// file.
func each(t *testing.T, try func(t *testing.T, ev events.Event)) {
	t.Helper()
	for _, typ := range events.Types() {
		t.Run(typ, func(t *testing.T) {
			t.Parallel()
			body, err := os.ReadFile(filepath.Join("..", "..", "..", "events", "testdata", "golden", typ+".v1.json"))
			if err != nil {
				t.Fatal(err)
			}
			ev, err := events.Decode(typ, "", body)
			if err != nil {
				t.Fatal(err)
			}
			try(t, ev)
		})
	}
}

func encoded(t *testing.T, c *Codec, ev events.Event) *nats.Msg {
	t.Helper()
	msg, err := c.Encode(t.Context(), ev, MessageID(ev))
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

// TestEncodeWritesAsTheSDK: an encoded event is a structured CloudEvent, byte for
// byte as the CloudEvents SDK writes it.
func TestEncodeWritesAsTheSDK(t *testing.T) {
	t.Parallel()
	c := New(`a "strange" näme <&>`)
	each(t, func(t *testing.T, ev events.Event) {
		msg := encoded(t, c, ev)
		var e event.Event
		if err := json.Unmarshal(msg.Data, &e); err != nil {
			t.Fatal(err)
		}
		if err := e.Validate(); err != nil {
			t.Error(err)
		}
		if e.SpecVersion() != "1.0" || e.ID() != msg.Header.Get(nats.MsgIdHdr) || e.Type() != ev.Type() || e.Subject() != msg.Subject ||
			e.DataContentType() != "application/json" || e.DataSchema() != events.Schema(ev.Type()) || e.Time().IsZero() || len(e.Extensions()) > 0 {
			t.Errorf("it reads\n%s", e)
		}
		data, err := json.Marshal(ev)
		if err != nil || !bytes.Equal(e.Data(), data) {
			t.Errorf("its data is\n%s\nwant\n%s (%v)", e.Data(), data, err)
		}
	})
	plain := New("services")
	each(t, func(t *testing.T, ev events.Event) {
		msg := encoded(t, plain, ev)
		var e event.Event
		if err := json.Unmarshal(msg.Data, &e); err != nil {
			t.Fatal(err)
		}
		if again, err := json.Marshal(e); err != nil || !bytes.Equal(again, msg.Data) {
			t.Errorf("the SDK writes\n%s\nwe write\n%s (%v)", again, msg.Data, err)
		}
	})
}

// TestFastEnvelopeReadsAsTheSDK reads envelopes that tunebus wrote, and others,
// and wants the result of the CloudEvents SDK for each.
func TestFastEnvelopeReadsAsTheSDK(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, ev events.Event) {
		c := New("services")
		msg := encoded(t, c, ev)
		if _, ok := parseFastEnvelope(msg.Data); !ok {
			t.Fatalf("%s is not read by the fast parser", msg.Data)
		}
		body := string(msg.Data)
		variants := map[string]string{
			"as written":          body,
			"another order":       `{"data":` + body[strings.Index(body, `"data":`)+len(`"data":`):len(body)-1] + `,` + body[1:strings.Index(body, `,"data":`)] + `}`,
			"an extension":        body[:len(body)-1] + `,"priority":"high"}`,
			"the data twice":      body[:len(body)-1] + `,"data":{}}`,
			"spaces":              strings.Replace(body, `,"type":`, ` , "type" : `, 1),
			"a line behind it":    body + "\n",
			"something behind":    body + `{}`,
			"cut off":             body[:len(body)-1],
			"cut off in it":       body[:len(body)/2],
			"another version":     strings.Replace(body, `.v1.json"`, `.v9.json"`, 1),
			"no version":          strings.Replace(body, `"dataschema":"`+events.Schema(ev.Type())+`",`, "", 1),
			"another type":        strings.Replace(body, `"type":"`, `"type":"not.`, 1),
			"a time that is none": strings.Replace(body, `"time":"2`, `"time":"x`, 1),
			"escapes in the id":   strings.Replace(body, `"id":"`, `"id":"\u0041\"`, 1),
			"no id":               strings.Replace(body, `"id":"`+msg.Header.Get(nats.MsgIdHdr)+`",`, "", 1),
			"another source":      strings.Replace(body, `"source":"tunebus/services"`, `"source":"https://example.com/a%20b"`, 1),
			"a wrong source":      strings.Replace(body, `"source":"tunebus/services"`, `"source":"tunebus/%zz"`, 1),
			"other content":       strings.Replace(body, `"application/json"`, `"text/plain"`, 1),
			"specversion 0.3":     strings.Replace(body, `"specversion":"1.0"`, `"specversion":"0.3"`, 1),
			"empty":               "",
			"no object":           "[]",
		}
		for name, body := range variants {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				// The parameter makes the codec use the SDK.
				long, lerr := c.Decode(msg.Subject, nats.Header{headerContent: {structured + "; charset=utf-8"}}, []byte(body))
				short, serr := c.Decode(msg.Subject, nats.Header{headerContent: {structured}}, []byte(body))
				if !reflect.DeepEqual(short, long) || !sameError(serr, lerr) {
					t.Errorf("%s\nis read as %+v, %v\nwant %+v, %v", body, short, serr, long, lerr)
				}
			})
		}
	})
}

func sameError(a, b error) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	_, malformedA := errors.AsType[*events.MalformedError](a)
	_, malformedB := errors.AsType[*events.MalformedError](b)
	return a.Error() == b.Error() && malformedA == malformedB
}

func BenchmarkEnvelope(b *testing.B) {
	c := New("services")
	body, err := os.ReadFile(filepath.Join("..", "..", "..", "events", "testdata", "golden", "finetune.requested.v1.json"))
	if err != nil {
		b.Fatal(err)
	}
	ev, err := events.Decode("finetune.requested", "", body)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.Encode(b.Context(), ev, "id"); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("decode", func(b *testing.B) {
		msg, err := c.Encode(b.Context(), ev, "id")
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.Decode(msg.Subject, msg.Header, msg.Data); err != nil {
				b.Fatal(err)
			}
		}
	})
}
