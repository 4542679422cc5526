package contract

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/events"
)

// channel is an event with its stream, publishers and consumers.
type channel struct {
	typ, address, stream string
	sends, receives      []string
}

// channels returns the channels of all events. An event that has no case here is
// an error, because nothing else says who publishes and who consumes it.
func channels() ([]channel, error) {
	var out []channel
	for _, typ := range slices.Sorted(slices.Values(events.Types())) {
		c := channel{typ: typ, stream: events.StreamFacts}
		phase, event, _ := strings.Cut(typ, ".")
		switch typ {
		case events.TypePipelineRequested:
			c.address, c.stream, c.sends, c.receives = typ, events.StreamRequests, []string{"client"}, []string{"intake"}
		case events.TypePipelineAccepted:
			c.address, c.sends, c.receives = typ+".{run}", []string{"intake"}, []string{"intake", "tracker"}
		case events.TypePipelineRejected:
			c.address, c.sends, c.receives = typ+".{request}", []string{"intake"}, []string{"client"}
		case events.TypeCancelRequested:
			c.address, c.sends = typ+".{run}", []string{"client", "intake"}
			c.receives = []string{"intake", "finetune", "inference", "evaluation", "tracker"}
		case events.TypePipelineCompleted:
			c.address, c.receives = typ+".{run}", []string{"tracker", "publisher", "client"}
			c.sends = []string{"intake", "finetune", "inference", "evaluation"}
		case events.TypeTrackingCompleted:
			c.address, c.sends, c.receives = typ+".{run}", []string{"tracker"}, []string{"client"}
		case events.TypePublishedCompleted:
			c.address, c.sends, c.receives = typ+".{run}.{what}", []string{"publisher"}, []string{"tracker", "client"}
		case events.TypePipelineDeleted:
			c.address, c.sends = typ+".{run}", []string{"client"}
			c.receives = []string{"intake", "finetune", "inference", "evaluation", "tracker"}
		default:
			if !events.Phase(phase).Valid() || !c.phase(phase, event) {
				return nil, fmt.Errorf("asyncapi.go says of %s neither who publishes nor who consumes it; add a case", typ)
			}
		}
		out = append(out, c)
	}
	return out, nil
}

// phase sets the publishers and consumers of an event of a phase. It reports
// whether it knows the event.
func (c *channel) phase(phase, event string) bool {
	requesters := map[string][]string{
		"finetune":   {"intake"},
		"inference":  {"intake", "finetune"},
		"evaluation": {"intake", "inference"},
	}[phase]
	c.sends, c.receives = []string{phase}, []string{"tracker"}
	switch event {
	case events.EventRequested:
		c.address, c.sends, c.receives = c.typ+".{run}.{queue}", requesters, []string{phase}
	case events.EventStarted:
		c.address, c.sends, c.receives = c.typ+".{run}.{attempt}", []string{phase, "intake"}, []string{phase, "tracker"}
	case events.EventAttemptEnded:
		c.address = c.typ + ".{run}.{attempt}"
	case events.EventCompleted:
		c.address, c.sends, c.receives = c.typ+".{run}", []string{phase, "intake"}, []string{phase, "tracker"}
	case events.EventProgress, events.EventTelemetry:
		c.address, c.stream = c.typ+".{run}.{attempt}", events.StreamMetrics
	case events.EventLog:
		c.address, c.stream, c.receives = c.typ+".{run}.{attempt}", events.StreamLogs, []string{"client"}
	default:
		return false
	}
	return true
}

// AsyncAPI returns the AsyncAPI 3.0 document of all events.
func AsyncAPI() ([]byte, error) {
	channels, err := channels()
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("# Generated from package events by \"go generate\". Do not edit.")
	p("asyncapi: 3.0.0")
	p("info:")
	p("  title: tunebus")
	p("  version: %d.0.0", events.SchemaVersion)
	p("  description: Events of the fine-tuning pipeline, as structured CloudEvents 1.0 on NATS JetStream.")
	p("defaultContentType: application/cloudevents+json")
	p("x-jetstream:")
	p("  streams:")
	for _, s := range streams() {
		p("    %s:", s.name)
		p("      description: %q", s.description)
		p("      subjects:")
		for _, subject := range s.subjects {
			p("        - %q", subject)
		}
	}
	p("channels:")
	for _, c := range channels {
		p("  %s:", c.typ)
		p("    address: %q", c.address)
		if parameters := parametersOf(c.address); len(parameters) > 0 {
			p("    parameters:")
			for _, name := range parameters {
				p("      %s:", name)
				p("        description: %q", parameterDescriptions()[name])
			}
		}
		p("    messages:")
		p("      event:")
		p("        $ref: '#/components/messages/%s'", c.typ)
		p("    x-jetstream:")
		p("      stream: %s", c.stream)
	}
	p("operations:")
	for _, c := range channels {
		for _, s := range c.sends {
			operation(p, s, "send", c.typ)
		}
		for _, s := range c.receives {
			operation(p, s, "receive", c.typ)
		}
	}
	p("components:")
	p("  messages:")
	for _, c := range channels {
		p("    %s:", c.typ)
		p("      name: %s", c.typ)
		p("      contentType: application/cloudevents+json")
		p("      payload:")
		p("        type: object")
		p("        required: [specversion, id, source, type, data]")
		p("        properties:")
		p("          specversion: {const: '1.0'}")
		p("          id: {type: string}")
		p("          source: {type: string}")
		p("          type: {const: %s}", c.typ)
		p("          subject: {type: string}")
		p("          time: {type: string, format: date-time}")
		p("          datacontenttype: {const: application/json}")
		p("          dataschema: {const: %q}", events.Schema(c.typ))
		p("          data:")
		p("            $ref: schemas/%s", FileName(c.typ))
	}
	return []byte(b.String()), nil
}

func operation(p func(string, ...any), service, action, typ string) {
	p("  %s.%s.%s:", service, action, typ)
	p("    action: %s", action)
	p("    channel:")
	p("      $ref: '#/channels/%s'", typ)
}

func parametersOf(address string) []string {
	var out []string
	for token := range strings.SplitSeq(address, ".") {
		if strings.HasPrefix(token, "{") {
			out = append(out, strings.Trim(token, "{}"))
		}
	}
	return out
}

func parameterDescriptions() map[string]string {
	return map[string]string{
		"run":     "id of the run",
		"queue":   "queue of the job, by default the engine's name",
		"attempt": "number of the attempt, from 1",
		"what":    "what was pushed to the Hub: model, predictions or results; of a repeated push the number of the attempt follows, as in model-2",
		"request": "sequence of the request in TUNEBUS_REQUESTS",
	}
}

type stream struct {
	name, description string
	subjects          []string
}

func streams() []stream {
	return []stream{
		{
			events.StreamRequests,
			"requests for runs",
			[]string{events.TypePipelineRequested},
		},
		{
			events.StreamFacts,
			"the facts of all runs, one message for each subject, and facts that are redriven to a consumer",
			append(events.FactSubjects(), events.RedriveFilter("*")),
		},
		{
			events.StreamMetrics,
			"metric points, limited by age and bytes",
			events.MetricSubjects(),
		},
		{
			events.StreamLogs,
			"logs of attempts, limited by age and bytes, and by messages for each subject",
			events.LogSubjects(),
		},
		{
			events.StreamDead,
			"dead letters",
			[]string{events.DeadLetterFilter()},
		},
	}
}
