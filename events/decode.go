package events

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// SchemaVersion is the version of all events of this package.
const SchemaVersion = 1

// schemaBase begins each dataschema. It is followed by <type>.v<version>.json.
const schemaBase = "https://tunebus.dev/schemas/"

// Schema returns the dataschema attribute of an event of this version.
func Schema(typ string) string {
	if d, ok := decoders()[typ]; ok {
		return d.schema
	}
	return schemaOf(typ)
}

func schemaOf(typ string) string {
	return schemaBase + typ + ".v" + strconv.Itoa(SchemaVersion) + ".json"
}

// UnknownVersionError means that an event has a version or a type that this
// program does not know. Most often the publisher is a newer service.
type UnknownVersionError struct{ Type, Schema string }

func (e *UnknownVersionError) Error() string {
	return fmt.Sprintf("decode %s: schema %q is unknown here; upgrade this service", e.Type, e.Schema)
}

// MalformedError means that the data is not a valid event of its type.
type MalformedError struct {
	Type string
	Err  error
}

func (e *MalformedError) Error() string {
	return fmt.Sprintf("%s cannot be read: %s", e.Type, whyNoJSON(e.Err))
}

// Unwrap returns the cause.
func (e *MalformedError) Unwrap() error { return e.Err }

// Decode decodes the data of an event. An empty schema means the current one.
// Unknown fields are ignored, because a new field is no breaking change. The
// errors are [*UnknownVersionError] and [*MalformedError].
func Decode(typ, schema string, data []byte) (Event, error) {
	return decode(typ, schema, func(d decoder) (Event, error) { return d.read(data) })
}

// decode calls read with the decoder of a type, and checks that the event has that
// type and a valid subject.
func decode(typ, schema string, read func(decoder) (Event, error)) (Event, error) {
	d, ok := decoders()[typ]
	if !ok || schema != "" && schema != d.schema {
		return nil, &UnknownVersionError{Type: typ, Schema: schema}
	}
	ev, err := read(d)
	if err != nil {
		return nil, &MalformedError{Type: typ, Err: err}
	}
	if ev.Type() != typ {
		return nil, &MalformedError{Type: typ, Err: otherType(ev.Type())}
	}
	if f, ok := ev.(Fact); ok {
		address, err := ParseSubject(f.Subject())
		if err == nil && (address.Type != typ || address.Run != f.Run()) {
			err = fmt.Errorf("%q is no run id", f.Run())
		}
		if err != nil {
			return nil, &MalformedError{Type: typ, Err: err}
		}
	}
	return ev, nil
}

// otherType says that the data of an event is that of another type.
func otherType(typ string) error {
	if strings.HasPrefix(typ, ".") {
		return errors.New("its data names no phase")
	}
	return fmt.Errorf("its data is that of %s", typ)
}

// Types returns all wire names.
func Types() []string {
	var out []string
	for t := range decoders() {
		out = append(out, t)
	}
	return out
}

// New returns the zero event of a wire name, with its phase set, or nil.
func New(typ string) Event {
	p, _, _ := strings.Cut(typ, ".")
	ev, err := Decode(typ, "", []byte(fmt.Sprintf(
		`{"run_id":"r","phase":%q,"queue":"q","attempt":1,"request_sequence":1,"what":"model"}`, p)))
	if err != nil {
		return nil
	}
	return ev
}

// decoder decodes the data of a type.
type decoder struct {
	schema string
	read   func([]byte) (Event, error)
	// readWithout decodes data whose specification was replaced by {}, and uses
	// the given one instead. It is nil for types without a specification.
	readWithout func([]byte, *Specification) (Event, error)
	// readOver decodes data on top of the given specification, which has the
	// values of missing keys. It is nil for types without a specification.
	readOver func([]byte, *Specification) (Event, error)
}

var decoders = sync.OnceValue(func() map[string]decoder {
	m := map[string]decoder{
		TypePipelineRequested: {read: read[PipelineRequested]},
		TypePipelineAccepted:  {read: read[PipelineAccepted], readWithout: acceptedWithout, readOver: acceptedOver},
		TypePipelineRejected:  {read: read[PipelineRejected]},
		TypeCancelRequested:   {read: read[CancelRequested]},
		TypePipelineCompleted: {read: read[PipelineCompleted]},
		TypeTrackingCompleted: {read: read[TrackingCompleted]},
		TypePipelineDeleted:   {read: read[PipelineDeleted]},

		TypePublishedCompleted: {read: read[PublishedCompleted]},
	}
	for _, p := range Phases() {
		m[phaseType(p, EventRequested)] = decoder{read: read[PhaseRequested], readWithout: requestedWithout, readOver: requestedOver}
		m[phaseType(p, EventStarted)] = decoder{read: read[PhaseStarted]}
		m[phaseType(p, EventAttemptEnded)] = decoder{read: read[AttemptEnded]}
		m[phaseType(p, EventCompleted)] = decoder{read: read[PhaseCompleted]}
		m[phaseType(p, EventProgress)] = decoder{read: read[Progress]}
		m[phaseType(p, EventTelemetry)] = decoder{read: read[Telemetry]}
		m[phaseType(p, EventLog)] = decoder{read: read[Log]}
	}
	for typ, d := range m {
		d.schema = schemaOf(typ)
		m[typ] = d
	}
	return m
})

func read[E Event](data []byte) (Event, error) {
	var ev E
	if err := json.Unmarshal(data, &ev); err != nil {
		return nil, err
	}
	return ev, nil
}
