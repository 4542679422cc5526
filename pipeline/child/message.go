package child

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/redaction"
)

// Protocol is the version of the protocol.
const Protocol = 1

const (
	// maxLine bounds a line of the connection, with its end, both ways.
	maxLine = 1 << 20
	// maxPoints bounds the points of a step.
	maxPoints = 256
	// maxText bounds a text; the rest is cut.
	maxText = 4000
)

// What a trainer reads of the rows.
const (
	RowsTokens   = "tokens"
	RowsMessages = "messages"
)

// Message is what a trainer says, or what became of the connection to it.
type Message interface{ message() }

// Description is what a trainer says of itself.
type Description struct {
	Protocol int    `json:"protocol"`
	Name     string `json:"name"`
	Version  string `json:"version,omitempty"`
	// Rows is RowsTokens or RowsMessages.
	Rows string `json:"rows"`
	// Versions are those of its libraries.
	Versions map[string]string `json:"versions,omitempty"`
	// Devices are what it can train on.
	Devices []string `json:"devices,omitempty"`
	Methods []string `json:"methods,omitempty"`
	// Keys are the keys of the section fine_tuner that it honours.
	Keys []string `json:"keys,omitempty"`
	// Optimizers, Schedulers and Quantisation are the values that it has; nil: it does
	// not say.
	Optimizers   []string `json:"optimizers,omitempty"`
	Schedulers   []string `json:"schedulers,omitempty"`
	Quantisation []string `json:"quantisation,omitempty"`
	Vision       bool     `json:"vision,omitempty"`
	// Kinds are the kinds of jobs that it works on; nil: KindTraining alone.
	Kinds []string `json:"kinds,omitempty"`
}

// The kinds of jobs.
const (
	KindTraining  = "training"
	KindInference = "inference"
)

// Answers reports whether it works on jobs of inference.
func (d Description) Answers() bool { return slices.Contains(d.Kinds, KindInference) }

// check returns what is wrong with a description.
func (d Description) check() error {
	switch {
	case d.Protocol != Protocol:
		return fmt.Errorf("the trainer speaks version %d of the protocol, and this worker version %d", d.Protocol, Protocol)
	case d.Name == "":
		return errors.New("name is missing")
	case d.Rows != RowsTokens && d.Rows != RowsMessages:
		return fmt.Errorf("rows = %q, want %q or %q", cut(d.Rows), RowsTokens, RowsMessages)
	}
	return nil
}

// Hello is the first line of a connection.
type Hello struct{ Description }

// The stages of a trainer.
const (
	StageLoad     = "load"
	StageTokenise = "tokenise"
	StageTrain    = "train"
	StageEvaluate = "evaluate"
	StageGenerate = "generate"
	StageSave     = "save"
)

// Stage says what the trainer does from now on.
type Stage struct {
	Stage string `json:"stage"`
	// Done is what it got done in the stage so far.
	Done int64 `json:"done"`
}

// Progress says that a step is done.
type Progress struct {
	Step  int64 `json:"step"`
	Total int64 `json:"total"`
	// Points are values by their names. A nil value is no number.
	Points map[string]*float64 `json:"points"`
}

// Dataset says what became of the rows of a data set.
type Dataset struct {
	Set     string `json:"set"` // training or validation
	Rows    int64  `json:"rows"`
	Dropped int64  `json:"dropped"`
	Cut     int64  `json:"cut"`
}

// Checkpoint says that a checkpoint is complete.
type Checkpoint struct {
	Step   int64  `json:"step"`
	Folder string `json:"folder"`
}

// Note is a sentence for people.
type Note struct {
	Text    string `json:"text"`
	Warning bool   `json:"warning"`
}

// Result says that the model is written whole.
type Result struct {
	Folder     string              `json:"folder"`
	Tokens     int64               `json:"tokens"`
	Statistics map[string]*float64 `json:"statistics"`
	// Artifacts are further files and folders by their names.
	Artifacts map[string]string `json:"artifacts"`
	// EndedEarly says that the trainer meant to make fewer steps than it had said.
	EndedEarly bool `json:"ended_early,omitempty"`
}

// The classes of errors.
const (
	OutOfMemory = "out_of_memory"
	BadData     = "bad_data"
	BadModel    = "bad_model"
	BadKey      = "bad_key"
	// BadCheckpoint says that the checkpoint to go on from cannot be used.
	BadCheckpoint = "bad_checkpoint"
	Diverged      = "diverged"
	Internal      = "internal"
)

// Error says why the trainer cannot go on.
type Error struct {
	Class string `json:"class"`
	Text  string `json:"text"`
	// Permanent says that every attempt would meet it; nil: the class decides.
	Permanent *bool `json:"permanent"`
	// Key is the key that is wrong, without its section.
	Key string `json:"key"`
}

// IsPermanent reports whether every attempt would meet the error.
func (e Error) IsPermanent() bool {
	if e.Permanent != nil {
		return *e.Permanent
	}
	return slices.Contains([]string{BadData, BadModel, BadKey, Diverged}, e.Class)
}

// Unknown is a message of a type that this version does not know.
type Unknown struct{ Type string }

// Fault says that the trainer broke the protocol. It is the last message, and the
// trainer is killed.
type Fault struct{ Err error }

func (Hello) message()      {}
func (Stage) message()      {}
func (Progress) message()   {}
func (Dataset) message()    {}
func (Checkpoint) message() {}
func (Note) message()       {}
func (Result) message()     {}
func (Error) message()      {}
func (Unknown) message()    {}
func (Fault) message()      {}

// decode returns the message of a line, without the secrets. They are gone before a text
// is cut, so that no part of one is left.
func decode(line []byte, s *redaction.Secrets) (Message, error) {
	m, err := decodeLine(line)
	if err == nil {
		return withoutSecrets(m, s), nil
	}
	if clean := s.Hide(string(line)); clean != string(line) {
		if _, err = decodeLine([]byte(clean)); err == nil {
			err = fmt.Errorf("it has a secret of the worker in it: %s", start([]byte(clean)))
		}
	}
	return nil, err
}

// decodeLine returns the message of a line as it is.
func decodeLine(line []byte) (Message, error) {
	var head struct {
		Type string `json:"type"`
	}
	if !utf8.Valid(line) {
		return nil, fmt.Errorf("it is no UTF-8: %s", start(line))
	}
	if err := json.Unmarshal(line, &head); err != nil {
		return nil, badJSON(line, err)
	}
	switch head.Type {
	case "hello":
		return decodeAs(line, func(h *Hello) error { return h.check() })
	case "stage":
		return decodeAs(line, func(s *Stage) error {
			if !slices.Contains([]string{StageLoad, StageTokenise, StageTrain, StageEvaluate, StageGenerate, StageSave}, s.Stage) {
				return fmt.Errorf("stage = %q, want load, tokenise, train, evaluate, generate or save", cut(s.Stage))
			}
			return notNegative("done", s.Done)
		})
	case "progress":
		return decodeAs(line, func(p *Progress) error {
			if len(p.Points) > maxPoints {
				return fmt.Errorf("%d points, want %d at most", len(p.Points), maxPoints)
			}
			for name := range p.Points {
				if name == "" || len(name) > events.MaxNameBytes {
					return fmt.Errorf("the point %q needs a name of 1 to %d bytes", cut(name), events.MaxNameBytes)
				}
			}
			return errors.Join(notNegative("step", p.Step), notNegative("total", p.Total))
		})
	case "dataset":
		return decodeAs(line, func(d *Dataset) error {
			if d.Set != "training" && d.Set != "validation" {
				return fmt.Errorf("set = %q, want training or validation", cut(d.Set))
			}
			return errors.Join(notNegative("rows", d.Rows), notNegative("dropped", d.Dropped), notNegative("cut", d.Cut))
		})
	case "checkpoint":
		return decodeAs(line, func(c *Checkpoint) error {
			if c.Step < 1 || c.Folder == "" {
				return errors.New("a checkpoint needs a step of 1 or more, and a folder")
			}
			return nil
		})
	case "note":
		return decodeAs(line, func(*Note) error { return nil })
	case "result":
		return decodeAs(line, func(r *Result) error {
			if r.Folder == "" {
				return errors.New("folder is missing")
			}
			return notNegative("tokens", r.Tokens)
		})
	case "error":
		return decodeAs(line, func(e *Error) error {
			if !slices.Contains([]string{OutOfMemory, BadData, BadModel, BadKey, BadCheckpoint, Diverged}, e.Class) {
				if e.Class != Internal {
					e.Text = strings.TrimSpace(fmt.Sprintf("%s (the trainer says the class %.100q, which the protocol does not have)", e.Text, e.Class))
				}
				e.Class = Internal
			}
			return nil
		})
	case "":
		return nil, fmt.Errorf("it has no type: %s", start(line))
	default:
		return Unknown{Type: head.Type}, nil
	}
}

// decodeAs decodes a line as a message of one type, and checks it.
func decodeAs[M Message](line []byte, check func(*M) error) (Message, error) {
	var m M
	if err := json.Unmarshal(line, &m); err != nil {
		return nil, badJSON(line, err)
	}
	if err := check(&m); err != nil {
		return nil, fmt.Errorf("%w: %s", err, start(line))
	}
	return m, nil
}

// badJSON is the fault of a line that cannot be decoded, with the usual cause.
func badJSON(line []byte, err error) error {
	hint := ""
	if bytes.Contains(line, []byte("NaN")) || bytes.Contains(line, []byte("Infinity")) {
		hint = "; JSON has no NaN and no Infinity, send null"
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		if wrong.Field == "points" {
			wrong.Field = wrongPoint(line)
		}
		return fmt.Errorf("%s is a %s, want a value of another type: %s", wrong.Field, wrong.Value, start(line))
	}
	return fmt.Errorf("it is no JSON object%s: %s", hint, start(line))
}

// wrongPoint names the points that are no numbers.
func wrongPoint(line []byte) string {
	var m struct{ Points map[string]any }
	_ = json.Unmarshal(line, &m) // points that are no object have no names
	maps.DeleteFunc(m.Points, func(_ string, v any) bool { _, number := v.(float64); return number || v == nil })
	return strings.TrimSuffix("points."+cut(strings.Join(slices.Sorted(maps.Keys(m.Points)), ", points.")), ".")
}

func notNegative(name string, n int64) error {
	if n < 0 {
		return fmt.Errorf("%s = %d, want 0 or more", name, n)
	}
	return nil
}

// start is the start of a line, quoted.
func start(line []byte) string {
	const most = 120
	if len(line) <= most {
		return fmt.Sprintf("%q", line)
	}
	return fmt.Sprintf("%q…", line[:most])
}

func cut(text string) string { return events.Cut(strings.TrimSpace(text), maxText) }

// Order is what a worker says to a trainer. Its fields have JSON names.
type Order interface {
	// Type is the type of the line.
	Type() string
}

// CheckpointKept says that a checkpoint is registered: another attempt would go on
// from it.
type CheckpointKept struct {
	Step int64 `json:"step"`
}

// CheckpointNotKept says why a checkpoint is not.
type CheckpointNotKept struct {
	Step int64  `json:"step"`
	Text string `json:"text"`
}

// Stop asks for a checkpoint and the end.
type Stop struct {
	By      string  `json:"by"` // RFC 3339
	Seconds float64 `json:"seconds"`
}

// StopWithin is the order to stop within a time from now on.
func StopWithin(d time.Duration) Stop {
	return Stop{By: time.Now().Add(d).UTC().Format(time.RFC3339Nano), Seconds: d.Seconds()}
}

// Type implements [Order].
func (CheckpointKept) Type() string { return "checkpoint_kept" }

// Type implements [Order].
func (CheckpointNotKept) Type() string { return "checkpoint_not_kept" }

// Type implements [Order].
func (Stop) Type() string { return "stop" }

// encode returns the line of an order.
func encode(o Order) []byte {
	body, _ := json.Marshal(o) // numbers and texts always have a JSON form
	head, _ := json.Marshal(o.Type())
	line := append([]byte(`{"type":`), head...)
	if len(body) > len("{}") {
		line = append(line, ',')
	}
	return append(append(line, body[1:]...), '\n')
}
