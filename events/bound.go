package events

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// Bound returns an event whose texts and lists keep the bounds of this package, so
// that it stays below [MaxEventBytes]. What is longer is cut, and what does not fit
// into a list is left out, with a note about it if the event has notes. Bound
// changes neither ev nor an event that is within the bounds.
//
// Identifiers, references, and what a request decides (specification, plan,
// labels, inputs, name) are never cut: a part of them would have another meaning.
// [PipelineAccepted.SizeFaults] finds those that are too large before a run exists.
func Bound(ev Event) Event {
	switch e := ev.(type) {
	case PipelineRejected:
		e.RunID, e.Labels, e.Faults = Cut(e.RunID, MaxNameBytes), LabelsOfRejected(e.Labels), BoundFaults(e.Faults)
		return e
	case CancelRequested:
		e.By, e.Reason = Cut(e.By, MaxNameBytes), Cut(e.Reason, MaxNoteBytes)
		return e
	case PhaseStarted:
		e.Worker, e.Engine = Cut(e.Worker, MaxNameBytes), Cut(e.Engine, MaxNameBytes)
		return e
	case AttemptEnded:
		e.Error = e.Error.bounded()
		e.Artifacts = boundArtifacts(e.Artifacts)
		return e
	case PhaseCompleted:
		return e.bounded()
	case PipelineCompleted:
		return e.bounded()
	case TrackingCompleted:
		return e.bounded()
	case PublishedCompleted:
		return e.bounded()
	case PipelineDeleted:
		e.RunName, e.ExperimentName = Cut(e.RunName, MaxNameBytes), Cut(e.ExperimentName, MaxNoteBytes)
		e.TrackingURI = Cut(e.TrackingURI, MaxNoteBytes)
		links := fitter{free: maxDataBytes / 2}
		e.Links = links.links(e.Links)
		return e
	case Progress:
		e.Points, e.Stage = boundPoints(e.Points), Cut(e.Stage, MaxNameBytes)
		e.Warnings = boundList(e.Warnings, maxWarnings, func(w string) string { return Cut(w, MaxNoteBytes) })
		e.WaitsFor = Cut(e.WaitsFor, MaxNoteBytes)
		return e
	case Telemetry:
		e.Points = boundPoints(e.Points)
		return e
	case Log:
		e.Lines = boundList(e.Lines, MaxLogLines, func(l LogLine) LogLine {
			l.Level, l.Text = Cut(l.Level, MaxNameBytes), Cut(l.Text, MaxLogLineBytes)
			return l
		})
		return e
	default:
		return ev
	}
}

// The largest sizes of numbers and keys beside the texts of an event, as JSON.
const (
	scalarBytes   = 1 << 10 // ids, times and keys of an event
	numberBytes   = 30      // a number in a table
	gateBytes     = 125     // a gate without its texts
	reasonBytes   = 100     // the longest reason of a gate
	coverageBytes = 70      // two numbers with their names
	artifactBytes = 120     // an artifact without its texts
	datasetBytes  = 300     // a data set without its texts
	pointBytes    = 130     // a point without its key
	faultBytes    = 60      // a fault without its texts
	maxWarnings   = 4       // in a batch of progress
	lastNoteBytes = 300     // the note or fault that says what was left out
)

func boundArtifacts(all []Artifact) []Artifact {
	return boundList(all, MaxArtifacts, func(a Artifact) Artifact {
		a.Name, a.Reference.Name = Cut(a.Name, MaxNameBytes), "" // a result was not uploaded by a person
		return a
	})
}

func (e PhaseCompleted) bounded() PhaseCompleted {
	e = e.finite()
	e.Error = e.Error.bounded()
	if extra := len(e.Artifacts) - MaxArtifacts; extra > 0 {
		e.Notes = append([]string{fmt.Sprintf("%d of %d artifacts are not kept, the first of them is %q; a phase may have %d",
			extra, len(e.Artifacts), Cut(e.Artifacts[MaxArtifacts].Name, MaxNameBytes), MaxArtifacts)}, e.Notes...)
	}
	e.Artifacts = boundArtifacts(e.Artifacts)
	e.Datasets = boundList(e.Datasets, MaxDatasets, func(d Dataset) Dataset {
		d.Key = Cut(d.Key, MaxNameBytes)
		return d
	})
	e.Gates = boundGates(e.Gates)
	fixed := scalarBytes + e.Error.size() + gatesSize(e.Gates)
	for _, a := range e.Artifacts {
		fixed += artifactBytes + TextSize(a.Name) + a.Reference.size()
	}
	for _, d := range e.Datasets {
		fixed += datasetBytes + TextSize(d.Key) + TextSize(d.SHA256)
	}
	fill := func(free, notes int) (PhaseCompleted, fitter) {
		out, s := e, fitter{free: free}
		out.Scores = s.numbers("scores", e.Scores)
		out.BaselineScores = s.numbers("scores of the base model", e.BaselineScores)
		out.Coverage = s.coverage("coverages", e.Coverage)
		out.BaselineCoverage = s.coverage("coverages of the base model", e.BaselineCoverage)
		out.Statistics = s.numbers("statistics", e.Statistics)
		out.Used = s.texts("values that were used", e.Used)
		out.Notes = s.notes("notes", e.Notes, notes)
		return out, s
	}
	out, s := fill(maxDataBytes-fixed, MaxNotes)
	if len(s.left) > 0 {
		out, s = fill(maxDataBytes-fixed-lastNoteBytes, MaxNotes-1)
		out.Notes = append(out.Notes, s.note())
	}
	return out
}

func (e PipelineCompleted) bounded() PipelineCompleted {
	e.Phases = boundList(e.Phases, len(Phases()), func(p PhaseResult) PhaseResult {
		p.Error = p.Error.bounded()
		return p
	})
	e.FailedPhases = boundList(e.FailedPhases, len(Phases()), func(p Phase) Phase { return p })
	e.Gates = boundGates(e.Gates)
	e.Scores, _ = finiteNumbers(e.Scores)
	e.BaselineScores, _ = finiteNumbers(e.BaselineScores)
	s := fitter{free: maxDataBytes - 2*scalarBytes - gatesSize(e.Gates)}
	for _, p := range e.Phases {
		s.free -= p.Error.size()
	}
	e.Scores = s.numbers("scores", e.Scores)
	e.BaselineScores = s.numbers("scores of the base model", e.BaselineScores)
	e.Coverage = s.coverage("coverages", e.Coverage)
	e.BaselineCoverage = s.coverage("coverages of the base model", e.BaselineCoverage)
	return e
}

func (e TrackingCompleted) bounded() TrackingCompleted {
	fill := func(free, gaps int) (TrackingCompleted, fitter) {
		out, s := e, fitter{free: free}
		out.Links = s.links(e.Links)
		out.Gaps = s.notes("gaps", e.Gaps, gaps)
		out.Notes = s.notes("notes", e.Notes, MaxNotes)
		return out, s
	}
	out, s := fill(maxDataBytes-scalarBytes, MaxNotes)
	if len(s.left) > 0 {
		out, s = fill(maxDataBytes-scalarBytes-lastNoteBytes, MaxNotes-1)
		out.Gaps = append(out.Gaps, s.note())
	}
	return out
}

// BoundFaults returns faults that keep the bounds of a rejection. If some are left
// out, the last one says how many.
func BoundFaults(faults []Fault) []Fault {
	fill := func(free, most int) []Fault {
		var out []Fault
		for _, f := range faults {
			f.Key, f.Value = Cut(f.Key, MaxNameBytes), Cut(f.Value, MaxNameBytes)
			f.Allowed, f.Message = Cut(f.Allowed, MaxNoteBytes), Cut(f.Message, MaxNoteBytes)
			free -= faultBytes + TextSize(f.Key) + TextSize(f.Value) + TextSize(f.Allowed) + TextSize(f.Message)
			if free < 0 || len(out) == most {
				break
			}
			out = append(out, f)
		}
		return out
	}
	const free = maxDataBytes - scalarBytes - rejectedLabelsBytes
	out := fill(free, MaxFaults)
	if len(out) < len(faults) {
		out = fill(free-lastNoteBytes, MaxFaults-1)
		out = append(out, MoreFaults(len(faults)-len(out)))
	}
	return out
}

// rejectedLabelsBytes is the room for labels in a rejection.
const rejectedLabelsBytes = 4 << 10

// LabelsOfRejected are the labels of a request that its rejection keeps: those that a run may
// have, in the order of their names, as far as there is room for them.
func LabelsOfRejected(labels map[string]string) map[string]string {
	var out map[string]string
	free := rejectedLabelsBytes
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		value := labels[name]
		size := TextSize(name) + TextSize(value)
		if name == "" || len(name) > MaxNameBytes || !utf8.ValidString(name) || !utf8.ValidString(value) || size > free {
			continue
		}
		if out == nil {
			out = map[string]string{}
		}
		out[name], free = value, free-size
	}
	return out
}

// MoreFaults is the last fault of a list in which n faults were left out.
func MoreFaults(n int) Fault {
	return Fault{Key: "request", Message: "… and " + Count(n) + " more faults"}
}

// bounded returns the problem with texts that keep their bounds.
func (p *Problem) bounded() *Problem {
	if p == nil || len(p.Code)*6 <= MaxNameBytes && len(p.Message)*6 <= MaxErrorBytes {
		return p
	}
	return &Problem{Code: Cut(p.Code, MaxNameBytes), Message: Cut(p.Message, MaxErrorBytes)}
}

// size returns the size of a problem as JSON, with its key.
func (p *Problem) size() int {
	if p == nil {
		return 0
	}
	return 100 + TextSize(p.Code) + TextSize(p.Message)
}

// size returns the size of the texts of a reference as JSON.
func (r Reference) size() int {
	return TextSize(r.Store) + TextSize(r.Key) + TextSize(r.MediaType) + TextSize(r.SHA256) + TextSize(r.Name)
}

// boundGates bounds gates. Gates that were missed remain before others, because
// they decide the exit status.
func boundGates(gates []Gate) []Gate {
	if len(gates) > MaxGates {
		gates = slices.Clone(gates)
		slices.SortStableFunc(gates, func(a, b Gate) int {
			switch {
			case a.Met == b.Met:
				return 0
			case b.Met:
				return -1
			default:
				return 1
			}
		})
	}
	return boundList(gates, MaxGates, func(g Gate) Gate {
		g.Metric, g.Reason = Cut(g.Metric, MaxNameBytes), Cut(g.Reason, reasonBytes)
		return g.finite()
	})
}

func gatesSize(gates []Gate) int {
	size := 0
	for _, g := range gates {
		size += gateBytes + TextSize(g.Metric) + TextSize(g.Reason)
	}
	return size
}

// boundPoints bounds the points of one event. Those behind the bound are left
// out; [SplitPoints] keeps them.
func boundPoints(points []Point) []Point {
	points = finitePoints(points)
	points = boundList(points, MaxNumbers, func(p Point) Point {
		p.Key = Cut(p.Key, MaxNameBytes)
		return p
	})
	return points[:fittingPoints(points)]
}

// SplitPoints splits points into lists that each fit into one event. There is at
// least one list.
func SplitPoints(points []Point) [][]Point {
	var out [][]Point
	points = finitePoints(points)
	for {
		n := fittingPoints(points)
		out = append(out, points[:n])
		if points = points[n:]; len(points) == 0 {
			return out
		}
	}
}

// fittingPoints returns how many of the first points fit into one event. It is not
// 0 if there are any.
func fittingPoints(points []Point) int {
	free := maxDataBytes - scalarBytes
	for i, p := range points {
		free -= pointBytes + min(TextSize(p.Key), MaxNameBytes)
		if free < 0 || i == MaxNumbers {
			return i
		}
	}
	return len(points)
}

// boundList returns the first elements of a list, each bounded.
func boundList[E any](list []E, most int, bounded func(E) E) []E {
	if len(list) == 0 {
		return list
	}
	out := make([]E, min(len(list), most))
	for i := range out {
		out[i] = bounded(list[i])
	}
	return out
}

// fitter collects what fits into an event, the most important first.
type fitter struct {
	free int
	left []string // what did not fit, such as "12 notes"
}

// take takes the bytes of something, if as many are free.
func (s *fitter) take(size int) bool {
	if size > s.free {
		return false
	}
	s.free -= size
	return true
}

func (s *fitter) leaveOut(n int, what string) {
	if n > 0 {
		s.left = append(s.left, Count(n)+" "+what)
	}
}

// numbers returns the numbers that fit, in the order of their names.
func (s *fitter) numbers(what string, m map[string]float64) map[string]float64 {
	return fitTable(s, what, m, MaxNumbers, func(v float64) (float64, int) { return v, numberBytes })
}

// coverage returns the coverages that fit, in the order of their names.
func (s *fitter) coverage(what string, m map[string]Coverage) map[string]Coverage {
	return fitTable(s, what, m, MaxNumbers, func(c Coverage) (Coverage, int) { return c, coverageBytes })
}

// links returns the links that fit, in the order of their names.
func (s *fitter) links(m map[string]string) map[string]string {
	return fitTable(s, "links", m, MaxNotes, func(v string) (string, int) {
		v = Cut(v, MaxNoteBytes)
		return v, 6 + TextSize(v)
	})
}

// fitTable returns the entries of a table that fit, in the order of their names.
func fitTable[V any](s *fitter, what string, m map[string]V, most int, bounded func(V) (V, int)) map[string]V {
	if len(m) == 0 {
		return m
	}
	out := make(map[string]V, min(len(m), most))
	for _, key := range slices.Sorted(maps.Keys(m)) {
		name := Cut(key, MaxNameBytes)
		value, size := bounded(m[key])
		if _, taken := out[name]; taken || len(out) == most || !s.take(6+TextSize(name)+size) {
			continue
		}
		out[name] = value
	}
	s.leaveOut(len(m)-len(out), what)
	return out
}

// texts returns the texts that fit, in the order of their names. They are for people.
func (s *fitter) texts(what string, m map[string]string) map[string]string {
	return fitTable(s, what, m, MaxNumbers, func(text string) (string, int) {
		text = Cut(text, MaxNoteBytes)
		return text, TextSize(text)
	})
}

// notes returns the first notes, as far as they fit.
func (s *fitter) notes(what string, notes []string, most int) []string {
	var out []string
	for _, note := range notes {
		if note = Cut(note, MaxNoteBytes); len(out) == most || !s.take(3+TextSize(note)) {
			break
		}
		out = append(out, note)
	}
	s.leaveOut(len(notes)-len(out), what)
	return out
}

// note says what did not fit.
func (s *fitter) note() string {
	last := len(s.left) - 1
	all := s.left[last]
	if last > 0 {
		all = strings.Join(s.left[:last], ", ") + " and " + all
	}
	return fmt.Sprintf("… %s were left out, because an event has no room for them", all)
}
