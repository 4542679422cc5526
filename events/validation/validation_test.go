package validation_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/tunebus/tunebus/events"
)

func schema(t *testing.T, typ string) *jsonschema.Schema {
	t.Helper()
	body, err := events.JSONSchema(typ)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(events.Schema(typ), doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(events.Schema(typ))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// golden are the committed examples of an event, by file.
func golden(t *testing.T, typ string) map[string]func() map[string]any {
	t.Helper()
	name := events.Schema(typ)
	name = strings.TrimSuffix(name[strings.LastIndexByte(name, '/')+1:], ".json")
	first := filepath.Join("..", "testdata", "golden", name)
	later, err := filepath.Glob(first + ".*.json")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]func() map[string]any{}
	for _, file := range append(later, first+".json") {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.Base(file)] = func() map[string]any {
			v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			return v.(map[string]any)
		}
	}
	return out
}

func TestGoldenEventsFitTheirSchemas(t *testing.T) {
	t.Parallel()
	for _, typ := range events.Types() {
		s := schema(t, typ)
		for file, example := range golden(t, typ) {
			t.Run(file, func(t *testing.T) {
				t.Parallel()
				fits(t, s, typ, example)
			})
		}
	}
}

// fits checks that a schema accepts the example and refuses broken variants.
func fits(t *testing.T, s *jsonschema.Schema, typ string, example func() map[string]any) {
	t.Helper()
	if err := s.Validate(example()); err != nil {
		t.Errorf("the golden event: %v", err)
	}
	more := example()
	more["added_later"] = true
	if err := s.Validate(more); err != nil {
		t.Errorf("a field that was added later: %v", err)
	}
	for key := range example() {
		wrong := example()
		wrong[key] = []any{[]any{}, "no field is a list of this"}
		if err := s.Validate(wrong); err == nil {
			t.Errorf("%s may be anything", key)
		}
	}
	if phase, _, _ := strings.Cut(typ, "."); events.Phase(phase).Valid() {
		less := example()
		delete(less, "run_id")
		if err := s.Validate(less); err == nil {
			t.Error("the run may be left out")
		}
		other := example()
		other["phase"] = "another"
		if err := s.Validate(other); err == nil {
			t.Error("the phase may be another one")
		}
	}
}

// document is as much of the AsyncAPI document as the tests look at.
type document struct {
	AsyncAPI string `yaml:"asyncapi"`
	Streams  struct {
		Streams map[string]struct{ Subjects []string }
	} `yaml:"x-jetstream"`
	Channels map[string]struct {
		Address    string
		Parameters map[string]any
		Messages   map[string]struct {
			Ref string `yaml:"$ref"`
		}
		JetStream struct{ Stream string } `yaml:"x-jetstream"`
	}
	Operations map[string]struct {
		Action  string
		Channel struct {
			Ref string `yaml:"$ref"`
		}
	}
	Components struct {
		Messages map[string]struct {
			Name    string
			Payload struct {
				Properties map[string]map[string]any
			}
		}
	}
}

// TestAsyncAPI checks that the document names every event, subject and stream
// and nothing else, and that all its references lead somewhere.
func TestAsyncAPI(t *testing.T) {
	t.Parallel()
	body, err := os.ReadFile(filepath.Join("..", "asyncapi.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var d document
	if err := yaml.Unmarshal(body, &d); err != nil {
		t.Fatal(err)
	}
	if d.AsyncAPI != "3.0.0" || len(d.Channels) != len(events.Types()) || len(d.Components.Messages) != len(events.Types()) {
		t.Errorf("AsyncAPI %s with %d channels and %d messages for %d events", d.AsyncAPI, len(d.Channels), len(d.Components.Messages), len(events.Types()))
	}
	used := map[string]bool{}
	for _, typ := range events.Types() {
		c, ok := d.Channels[typ]
		if !ok {
			t.Errorf("no channel %s", typ)
			continue
		}
		if c.Messages["event"].Ref != "#/components/messages/"+typ {
			t.Errorf("channel %s carries %q", typ, c.Messages["event"].Ref)
		}
		subject := c.Address
		for name := range c.Parameters {
			subject = strings.ReplaceAll(subject, "{"+name+"}", "*")
		}
		if !slices.Contains(d.Streams.Streams[c.JetStream.Stream].Subjects, subject) {
			t.Errorf("stream %s does not take %s", c.JetStream.Stream, subject)
		}
		used[subject] = true
		data := d.Components.Messages[typ].Payload.Properties["data"]["$ref"]
		if _, err := os.Stat(filepath.Join("..", filepath.FromSlash(data.(string)))); err != nil {
			t.Errorf("the schema of %s: %v", typ, err)
		}
	}
	for stream, want := range map[string][]string{
		events.StreamRequests: {events.TypePipelineRequested}, events.StreamFacts: append(events.FactSubjects(), events.RedriveFilter("*")),
		events.StreamMetrics: events.MetricSubjects(), events.StreamLogs: events.LogSubjects(), events.StreamDead: {events.DeadLetterFilter()},
	} {
		got := d.Streams.Streams[stream].Subjects
		if !slices.Equal(got, want) {
			t.Errorf("stream %s takes %v, want %v", stream, got, want)
		}
		for _, subject := range got {
			if !used[subject] && stream != events.StreamDead && !events.IsRedrive(subject) {
				t.Errorf("subject %s of %s belongs to no channel", subject, stream)
			}
		}
	}
	sends, receives := map[string]bool{}, map[string]bool{}
	for name, o := range d.Operations {
		typ, ok := strings.CutPrefix(o.Channel.Ref, "#/channels/")
		if _, known := d.Channels[typ]; !ok || !known {
			t.Errorf("operation %s leads to %q", name, o.Channel.Ref)
		}
		switch o.Action {
		case "send":
			sends[typ] = true
		case "receive":
			receives[typ] = true
		default:
			t.Errorf("operation %s does %q", name, o.Action)
		}
	}
	for _, typ := range events.Types() {
		if !sends[typ] || !receives[typ] {
			t.Errorf("%s is sent: %t, received: %t", typ, sends[typ], receives[typ])
		}
	}
}
