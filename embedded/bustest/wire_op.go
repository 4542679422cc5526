package bustest

import (
	"bytes"
	"slices"
	"strings"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// flushLine is what a client sends to learn that the server has seen all that
// it sent before. It is a line of the protocol and has no subject.
const flushLine = "PING"

// apiOps are the kinds of the requests to the JetStream API, by the begin of
// their subject behind $JS.API. The first that fits counts. Those of stream
// information depend on the stream and the body, see [infoOp].
var apiOps = []struct {
	prefix string
	op     conn.Op
}{
	{"INFO", conn.ApplyBucket}, // whether the server can expire single keys
	{"STREAM.CREATE.KV_", conn.ApplyBucket},
	{"STREAM.UPDATE.KV_", conn.ApplyBucket},
	{"STREAM.CREATE.OBJ_", conn.ApplyBucket},
	{"STREAM.UPDATE.OBJ_", conn.ApplyBucket},
	{"STREAM.CREATE.", conn.ApplyStream},
	{"STREAM.UPDATE.", conn.ApplyStream},
	{"STREAM.DELETE.TUNEBUS_SPACE", conn.ApplyStream},
	{"CONSUMER.CREATE.", conn.ApplyConsumer},
	{"CONSUMER.DURABLE.CREATE.", conn.ApplyConsumer},
	{"CONSUMER.INFO.", conn.ConsumerInfo},
	{"CONSUMER.LIST.", conn.ListConsumers},
	{"CONSUMER.MSG.NEXT.", conn.Pull},
	{"STREAM.MSG.GET.OBJ_", conn.ObjectInfo},
	{"STREAM.MSG.GET.", conn.GetMessage},
	{"STREAM.MSG.DELETE.", conn.DeleteMessage},
	{"STREAM.PURGE.", conn.Purge},
	{"DIRECT.GET.KV_", conn.GetKey},
	{"DIRECT.GET.OBJ_", conn.ObjectInfo},
	{"DIRECT.GET.", conn.GetBatch},
}

// replyOps are the kinds of the replies to a delivery, by the begin of their
// body.
var replyOps = []struct {
	prefix string
	op     conn.Op
}{
	{"+ACK", conn.Ack},
	{"-NAK", conn.Nak},
	{"+WPI", conn.Heartbeat},
	{"+TERM", conn.Term},
}

// opOf is the kind of a message that a client sends to the server. ok is false
// for a message that is of no kind.
func opOf(m *nats.Msg) (op conn.Op, ok bool) {
	call, isAPI := strings.CutPrefix(m.Subject, "$JS.API.")
	switch {
	case m.Subject == flushLine:
		return conn.Flush, true
	case isAPI && strings.HasPrefix(call, "STREAM.INFO."):
		return infoOp(strings.TrimPrefix(call, "STREAM.INFO."), m.Data), true
	case isAPI:
		return apiOp(call, m.Data)
	case strings.HasPrefix(m.Subject, "$JS.ACK."):
		for _, r := range replyOps {
			if bytes.HasPrefix(m.Data, []byte(r.prefix)) {
				return r.op, true
			}
		}
		return "", false
	case strings.HasPrefix(m.Subject, "$KV."):
		if m.Header.Get("KV-Operation") != "" {
			return conn.DeleteKey, true
		}
		return conn.PutKey, true
	case strings.HasPrefix(m.Subject, "$O."):
		return conn.PublishChunk, true
	}
	return publishOp(m.Subject)
}

// apiOp is the kind of a request to the API. A batch is read from any stream in
// the same way: the subject names no key then.
func apiOp(call string, body []byte) (conn.Op, bool) {
	if stream, ok := strings.CutPrefix(call, "DIRECT.GET."); ok && !strings.Contains(stream, ".") && bytes.Contains(body, []byte(`"batch"`)) {
		return conn.GetBatch, true
	}
	for _, a := range apiOps {
		if strings.HasPrefix(call, a.prefix) {
			return a.op, true
		}
	}
	return "", false
}

// infoOp is the kind of a request for the state of a stream. The client library
// binds to a bucket by it.
func infoOp(stream string, body []byte) conn.Op {
	switch {
	case bytes.Contains(body, []byte(`"subjects_filter"`)):
		return conn.ListSubjects
	case strings.HasPrefix(stream, "KV_"):
		return conn.BindBucket
	case strings.HasPrefix(stream, "OBJ_"):
		return conn.BindObjects
	}
	return conn.StreamInfo
}

// publishOp is the kind of a message for a stream of events.
func publishOp(subject string) (conn.Op, bool) {
	matches := func(filter string) bool { return server.SubjectMatchesFilter(subject, filter) }
	if slices.ContainsFunc(append(events.MetricSubjects(), events.LogSubjects()...), matches) {
		return conn.PublishMetric, true
	}
	stored := append(events.FactSubjects(), events.TypePipelineRequested, events.RedriveFilter("*"), events.DeadLetterFilter())
	return conn.Publish, slices.ContainsFunc(stored, matches)
}
