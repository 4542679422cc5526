package codec

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/spec"
)

var (
	longID  = strings.Repeat("r", 64)
	longURL = strings.Repeat("k", 400)
)

func reference(key string) events.Reference {
	return events.Reference{
		Store: strings.Repeat("s", 64), Key: key + longURL, MediaType: strings.Repeat("m", 100), Size: 1 << 60, SHA256: strings.Repeat("a", 64),
	}
}

// largestRun is a run that intake accepts only just: its specification, labels,
// name, plan and inputs take all the room that they may have.
func largestRun(t *testing.T) events.PipelineAccepted {
	t.Helper()
	model, predictions, baseline := reference("model"), reference("predictions"), reference("baseline")
	a := events.PipelineAccepted{
		RunID:         longID,
		RunName:       strings.Repeat("<", events.MaxNameBytes/6),
		RequestedAt:   time.Now(),
		Specification: spec.Defaults(),
		Labels:        map[string]string{},
		Inputs:        events.Inputs{Model: &model, Predictions: &predictions, BaselinePredictions: &baseline, Files: map[string]events.Reference{}},
		Lineage:       events.Lineage{RequestSequence: 1 << 63, RerunOf: longID, ReplayOf: 1 << 63},
	}
	for _, p := range events.Phases() {
		a.Plan = append(a.Plan, events.Step{Phase: p, Queue: longID, OnFailure: events.Continue})
	}
	a.Specification.Evaluator.Gates = map[string]float64{}
	for i := range events.MaxGates {
		a.Specification.Evaluator.Gates[fmt.Sprintf("%03d%s", i, strings.Repeat("g", 100))] = 0.123456789012345
	}
	for i := 0; len(a.SizeFaults()) == 0; i++ {
		a.Labels[fmt.Sprint("label", i)] = strings.Repeat("<", 100)
		if len(a.SizeFaults()) > 0 {
			delete(a.Labels, fmt.Sprint("label", i))
			break
		}
	}
	for i := 0; len(a.SizeFaults()) == 0; i++ {
		a.Inputs.Files[fmt.Sprint("file", i)] = reference("file")
		if len(a.SizeFaults()) > 0 {
			delete(a.Inputs.Files, fmt.Sprint("file", i))
			break
		}
	}
	if len(a.Labels) < 5 || len(a.Inputs.Files) < 5 {
		t.Fatalf("%d labels, %d files", len(a.Labels), len(a.Inputs.Files))
	}
	return a
}

// largestEnd is an end of a phase in which everything is beyond its bounds.
func largestEnd(a events.PipelineAccepted, p events.Phase) events.PhaseCompleted {
	text := strings.Repeat("<漢", 20_000)
	e := events.PhaseCompleted{
		RunID: a.RunID, Phase: p, Attempt: 1 << 60, Conclusion: events.Failure, StartedAt: time.Now(), EndedAt: time.Now(),
		Statistics: map[string]float64{}, Scores: map[string]float64{}, BaselineScores: map[string]float64{},
		TokensIn: 1 << 62, TokensOut: 1 << 62, Error: &events.Problem{Code: text, Message: text},
	}
	for i := range 300 {
		name := fmt.Sprint(i, text)
		e.Statistics[name], e.Scores[name], e.BaselineScores[name] = -1.2345678901234567e-300, -1.2345678901234567e-300, -1.2345678901234567e-300
		e.Notes = append(e.Notes, name)
		e.Datasets = append(e.Datasets, events.Dataset{Key: name, SHA256: strings.Repeat("a", 64), Size: 1 << 62, Rows: 1 << 62})
		e.Artifacts = append(e.Artifacts, events.Artifact{Name: fmt.Sprint(i), Reference: reference("artifact")})
	}
	e.Artifacts = append([]events.Artifact{
		{Name: events.ArtifactModel, Reference: reference("model")},
		{Name: events.ArtifactPredictions, Reference: reference("predictions")},
	}, e.Artifacts...)
	for _, name := range slices.Sorted(maps.Keys(a.Specification.Evaluator.Gates)) {
		e.Gates = append(e.Gates, events.Gate{Metric: name, AtLeast: -1.2345678901234567e-300, Score: -1.2345678901234567e-300})
	}
	return e
}

// TestEveryEventFits encodes each event that the largest run can lead to, with
// texts and lists beyond their bounds, and wants each message with its headers to
// stay below 64 KiB.
func TestEveryEventFits(t *testing.T) {
	t.Parallel()
	c := New(strings.Repeat("<client", 100))
	text := strings.Repeat("<漢", 20_000)
	accepted := largestRun(t)
	facts := []events.Fact{accepted}
	for cause := events.Fact(accepted); ; {
		next, err := events.Next(cause, events.Fold(facts))
		if err != nil {
			t.Fatal(err)
		}
		facts = append(facts, next)
		job, ok := next.(events.PhaseRequested)
		if !ok {
			break
		}
		end := largestEnd(accepted, job.Phase)
		cause, facts = end, append(facts, end)
	}
	all := []events.Event{
		events.PhaseStarted{RunID: longID, Phase: events.Evaluation, Attempt: 1 << 60, Worker: text, Engine: text, StartedAt: time.Now()},
		events.AttemptEnded{RunID: longID, Phase: events.Evaluation, Attempt: 1 << 60, Reason: events.EndError, Error: &events.Problem{Code: text, Message: text}},
		events.CancelRequested{RunID: longID, By: text, Reason: text},
		events.PipelineDeleted{RunID: longID, RunName: text, DeletedAt: time.Now(), RequestSequence: 1 << 63, TrackingURI: text, ExperimentName: text},
	}
	lines := events.Log{RunID: longID, Phase: events.Evaluation, Attempt: 1 << 60, First: 1 << 62}
	tracked, rejected, points := events.TrackingCompleted{RunID: longID, Links: map[string]string{}}, events.PipelineRejected{RequestSequence: 1 << 63, RunID: text}, []events.Point{}
	for i := range 300 {
		name := fmt.Sprint(i, text)
		tracked.Links[name] = text
		tracked.Gaps = append(tracked.Gaps, text)
		lines.Lines = append(lines.Lines, events.LogLine{Time: time.Now(), Level: text, Text: text})
		rejected.Faults = append(rejected.Faults, events.Fault{Key: text, Value: text, Allowed: text, Message: text})
		points = append(points, events.Point{Key: name, Value: -1.2345678901234567e-300, Step: 1 << 62, Time: time.Now()})
	}
	all = append(all, tracked, rejected, lines,
		events.Progress{RunID: longID, Phase: events.Evaluation, Attempt: 1 << 60, Step: 1 << 62, Total: 1 << 62, Points: points},
		events.Telemetry{RunID: longID, Phase: events.Evaluation, Attempt: 1 << 60, Points: points})
	for _, f := range facts {
		all = append(all, f)
	}
	seen := map[string]bool{events.TypePipelineRequested: true} // TestLargeRequest
	for _, ev := range all {
		seen[ev.Type()] = true
		msg, err := c.Encode(t.Context(), ev, MessageID(ev))
		if err != nil {
			t.Error(err)
			continue
		}
		// As a publish with a fence adds them.
		msg.Header.Set("Nats-Expected-Last-Subject-Sequence", fmt.Sprint(uint64(1<<63)))
		msg.Header.Set("Nats-Expected-Last-Subject-Sequence-Subject", events.StartedFilter(events.Evaluation, longID))
		if size := msg.Size(); size > events.MaxEventBytes {
			t.Errorf("%s takes %d bytes", ev.Type(), size)
		}
		if _, err := c.Decode(msg.Subject, msg.Header, msg.Data); err != nil {
			t.Errorf("%s: %v", ev.Type(), err)
		}
	}
	for _, typ := range events.Types() {
		name := typ[strings.LastIndexByte(typ, '.')+1:]
		if !seen[typ] && !seen[string(events.Evaluation)+"."+name] {
			t.Errorf("%s was not tried", typ)
		}
	}
}

// TestLargeRequest: what is never cut is refused before it is sent.
func TestLargeRequest(t *testing.T) {
	t.Parallel()
	c := New("client")
	for _, ev := range []events.Event{
		events.PipelineRequested{Labels: map[string]string{"a": strings.Repeat("<", 20_000)}, Specification: []byte("{}")},
		events.PipelineAccepted{RunID: "r", RunName: strings.Repeat("<", 20_000)},
		events.CancelRequested{RunID: strings.Repeat("r", 600_000)},
	} {
		_, err := c.Encode(t.Context(), ev, "id")
		tooLarge, ok := errors.AsType[*TooLargeError](err)
		if !ok || tooLarge.Size <= events.MaxEventBytes || len(err.Error()) > 500 {
			t.Errorf("%s: %.300v", ev.Type(), err)
		}
	}
}

// TestLargeOldRun: an event of an earlier version is read whatever its size, and
// the jobs of a run that is larger than runs are now are still written.
func TestLargeOldRun(t *testing.T) {
	t.Parallel()
	c := New("client")
	job := events.PhaseRequested{RunID: "r", Phase: events.Inference, Queue: "q", Specification: spec.Defaults()}
	job.Specification.Inferencer.HFUserID = strings.Repeat("h", 200_000)
	msg, err := c.Encode(t.Context(), job, "id")
	if err != nil {
		t.Fatal(err)
	}
	d, err := c.Decode(msg.Subject, msg.Header, msg.Data)
	if err != nil || d.Event.(events.PhaseRequested).Specification.Inferencer.HFUserID != job.Specification.Inferencer.HFUserID {
		t.Errorf("the job was read as %.200v, %v", d.Event, err)
	}
	old := `{"run_id":"r","phase":"inference","attempt":1,"conclusion":"failure","error":{"code":"c","message":"` + strings.Repeat("m", 200_000) + `"}}`
	ev, err := events.Decode("inference.completed", "", []byte(old))
	if err != nil || len(ev.(events.PhaseCompleted).Error.Message) != 200_000 {
		t.Errorf("an old event: %.200v, %v", ev, err)
	}
}
