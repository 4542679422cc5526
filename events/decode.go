package events

import (
	"encoding/json"
	"fmt"
	"strings"
)

// SchemaVersion is the version of every event of this package.
const SchemaVersion = 1

// schemaBase is the start of every dataschema; what follows is
// <type>.v<version>.json.
const schemaBase = "https://tunebus.dev/schemas/"

// Schema is the dataschema attribute of an event of this version.
func Schema(typ string) string { return fmt.Sprintf("%s%s.v%d.json", schemaBase, typ, SchemaVersion) }

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
	read, ok := decoders()[typ]
	if !ok || schema != "" && schema != Schema(typ) {
		return nil, &UnknownVersionError{Type: typ, Schema: schema}
	}
	ev, err := read(data)
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

func decoders() map[string]func([]byte) (Event, error) {
	m := map[string]func([]byte) (Event, error){
		TypePipelineRequested: read[PipelineRequested],
		TypePipelineAccepted:  read[PipelineAccepted],
		TypePipelineRejected:  read[PipelineRejected],
		TypeCancelRequested:   read[CancelRequested],
		TypePipelineCompleted: read[PipelineCompleted],
		TypeTrackingCompleted: read[TrackingCompleted],
	}
	for _, p := range Phases() {
		m[phaseType(p, EventRequested)] = read[PhaseRequested]
		m[phaseType(p, EventStarted)] = read[PhaseStarted]
		m[phaseType(p, EventAttemptEnded)] = read[AttemptEnded]
		m[phaseType(p, EventCompleted)] = read[PhaseCompleted]
		m[phaseType(p, EventProgress)] = read[Progress]
		m[phaseType(p, EventTelemetry)] = read[Telemetry]
	}
	return m
}

func read[E Event](data []byte) (Event, error) {
	var ev E
	if err := json.Unmarshal(data, &ev); err != nil {
		return nil, err
	}
	return ev, nil
}
