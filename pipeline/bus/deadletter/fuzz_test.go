package deadletter

import (
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/streams"
)

// FuzzLetter: any dead letter is listed, and a redriven one has its own body
// and none of the headers that the server acts on.
func FuzzLetter(f *testing.F) {
	f.Add("finetune.requested.r.builtin", "TUNEBUS", "17", "0", "Nats-Msg-Id", []byte("junk"))
	f.Add("pipeline.requested", "TUNEBUS_REQUESTS", "x", "-1", "Authorization", []byte{0})
	f.Add("", "", "", "99999999999999999999", "Tunebus-Dead-Nats-Expected-Stream", []byte(nil))
	f.Fuzz(func(t *testing.T, subject, stream, sequence, cut, header string, body []byte) {
		h := nats.Header{header: {"x"}}
		h[HeaderSubject], h[HeaderStream], h[HeaderSequence], h[HeaderCut] = []string{subject}, []string{stream}, []string{sequence}, []string{cut}
		l := letterOf(streams.Message{Sequence: 1, Header: h, Data: body})
		if l.Run != "" && !events.ValidToken(l.Run) && len(l.Run) <= 64 {
			t.Errorf("run %q", l.Run)
		}
		msg := l.message(events.RedriveSubject("tracker", l.Run, l.Sequence), "id")
		if string(msg.Data) != string(body) {
			t.Errorf("body %q became %q", body, msg.Data)
		}
		for k := range msg.Header {
			if k == nats.MsgIdHdr && msg.Header.Get(k) == "id" {
				continue // the redriven message's own
			}
			if strings.HasPrefix(k, "Nats-") {
				t.Errorf("header %s goes on", k)
			}
		}
	})
}
