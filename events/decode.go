package events

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// SchemaVersion is the version of every event of this package.
const SchemaVersion = 1

// schemaBase is the start of every dataschema; what follows is
// <type>.v<version>.json.
const schemaBase = "https://tunebus.dev/schemas/"

// Schema is the dataschema attribute of an event of this version.
func Schema(typ string) string {
	if of, ok := decoders()[typ]; ok {
		return of.schema
	}
	return schemaOf(typ)
}

func schemaOf(typ string) string {
	return schemaBase + typ + ".v" + strconv.Itoa(SchemaVersion) + ".json"
}

// UnknownVersionError says that an event has a version or a type that this
// program does not know, most often since another service is newer.
type UnknownVersionError struct{ Type, Schema string }

func (e *UnknownVersionError) Error() string {
	return fmt.Sprintf("decode %s: schema %q is unknown here; upgrade this service", e.Type, e.Schema)
}

// MalformedError says that the bytes are not the event that they claim to be.
type MalformedError struct {
	Type string
	Err  error
}

func (e *MalformedError) Error() string { return fmt.Sprintf("decode %s: %v", e.Type, e.Err) }

// Unwrap returns the cause.
func (e *MalformedError) Unwrap() error { return e.Err }

// Decode reads an event's data. An empty schema counts as the current one.
// Fields that it does not know are ignored, since adding one is no breaking
// change. Errors are [*UnknownVersionError] and [*MalformedError].
func Decode(typ, schema string, data []byte) (Event, error) {
	return decode(typ, schema, func(of decoder) (Event, error) { return of.read(data) })
}

// decode lets read make an event of a type and checks that it is what it
// claims to be.
func decode(typ, schema string, read func(decoder) (Event, error)) (Event, error) {
	of, ok := decoders()[typ]
	if !ok || schema != "" && schema != of.schema {
		return nil, &UnknownVersionError{Type: typ, Schema: schema}
	}
	ev, err := read(of)
	if err != nil {
		return nil, &MalformedError{Type: typ, Err: err}
	}
	if ev.Type() != typ {
		return nil, &MalformedError{Type: typ, Err: fmt.Errorf("the data is a %s", ev.Type())}
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

// Types lists every wire name.
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
		`{"run_id":"r","phase":%q,"queue":"q","attempt":1,"request_sequence":1}`, p)))
	if err != nil {
		return nil
	}
	return ev
}

// decoder reads the data of one type.
type decoder struct {
	schema string
	read   func([]byte) (Event, error)
	// short reads data without a specification, which is given instead; nil
	// where the data has none.
	short func([]byte, *Specification) (Event, error)
	// over reads data whose specification says only what differs from the
	// given one; nil where short is.
	over func([]byte, *Specification) (Event, error)
}

var decoders = sync.OnceValue(func() map[string]decoder {
	m := map[string]decoder{
		TypePipelineRequested: {read: read[PipelineRequested]},
		TypePipelineAccepted:  {read: read[PipelineAccepted], short: shortAccepted, over: overAccepted},
		TypePipelineRejected:  {read: read[PipelineRejected]},
		TypeCancelRequested:   {read: read[CancelRequested]},
		TypePipelineCompleted: {read: read[PipelineCompleted]},
		TypeTrackingCompleted: {read: read[TrackingCompleted]},
	}
	for _, p := range Phases() {
		m[phaseType(p, EventRequested)] = decoder{read: read[PhaseRequested], short: shortRequested, over: overRequested}
		m[phaseType(p, EventStarted)] = decoder{read: read[PhaseStarted]}
		m[phaseType(p, EventAttemptEnded)] = decoder{read: read[AttemptEnded]}
		m[phaseType(p, EventCompleted)] = decoder{read: read[PhaseCompleted]}
		m[phaseType(p, EventProgress)] = decoder{read: read[Progress]}
		m[phaseType(p, EventTelemetry)] = decoder{read: read[Telemetry]}
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
