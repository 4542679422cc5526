package report

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/failpoint"
	"github.com/tunebus/tunebus/pipeline/filelock"
	"github.com/tunebus/tunebus/services/tracker/atomicfile"
)

// The names of the run list's files.
const (
	RunsName     = "runs.json"
	RunsTextName = "runs.txt"
)

// RunLine is a run in a list of runs.
type RunLine struct {
	RunID   string `json:"run_id"`
	RunName string `json:"run_name,omitempty"`
	// Status is a conclusion where the run has ended.
	Status events.Status `json:"status"`
	// Phase is the one that the run is at, or ended with.
	Phase           events.Phase       `json:"phase,omitempty"`
	RequestedAt     time.Time          `json:"requested_at,omitzero"`
	EndedAt         time.Time          `json:"ended_at,omitzero"`
	DurationSeconds float64            `json:"duration_seconds,omitempty"`
	Labels          map[string]string  `json:"labels,omitempty"`
	Scores          map[string]float64 `json:"scores,omitempty"`
	Gains           map[string]float64 `json:"gains,omitempty"` // over the base model
	MissedGates     []string           `json:"missed_gates,omitempty"`
	FailedPhases    []events.Phase     `json:"failed_phases,omitempty"`
	Error           string             `json:"error,omitempty"` // of the phase that ended the run
	// Sequence is that of the newest fact that the line tells; a line that
	// tells more is never replaced by one that tells less.
	Sequence uint64 `json:"sequence,omitempty"`
}

// Line sums up a run in one line.
func Line(run events.Run) RunLine {
	s := SummarisePipeline(run)
	l := RunLine{
		RunID: s.RunID, RunName: s.RunName, Status: s.Status, DurationSeconds: s.DurationSeconds, Labels: s.Labels,
		Scores: s.Scores, Gains: s.Gains, FailedPhases: s.FailedPhases,
	}
	if s.RequestedAt != nil {
		l.RequestedAt = *s.RequestedAt
	}
	if s.EndedAt != nil {
		l.EndedAt = *s.EndedAt
	}
	for _, gate := range s.Gates {
		if !gate.Met {
			l.MissedGates = append(l.MissedGates, gate.Metric)
		}
	}
	for _, p := range s.Phases {
		if p.Status == events.StatusWaiting {
			break
		}
		l.Phase = p.Phase
		l.Error = ""
		if p.Error != nil {
			l.Error = p.Error.Message
		}
	}
	if len(s.Faults) > 0 {
		l.Error = s.Faults[0].Message
	}
	return l
}

// RunList is the list of all runs in a folder. It may be used by several
// goroutines and, by a lock on the folder, several processes.
type RunList struct {
	dir string
	mu  sync.Mutex // an update reads the list and replaces it
}

// NewRunList keeps the list in dir, which the first update makes.
func NewRunList(dir string) *RunList { return &RunList{dir: dir} }

// Update adds runs to the list or replaces their lines, and writes both files.
func (r *RunList) Update(ctx context.Context, lines ...RunLine) (err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := os.MkdirAll(r.dir, 0o755); err != nil {
		return fmt.Errorf("write %s: %w", RunsName, err)
	}
	unlock, err := filelock.LockDir(ctx, r.dir)
	if err != nil {
		return fmt.Errorf("write %s: %w", RunsName, err)
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if err := atomicfile.RemoveTemps(r.dir); err != nil {
		return err
	}
	all, err := r.read()
	if err != nil {
		return err
	}
	byID := make(map[string]RunLine, len(all)+len(lines))
	for _, l := range append(all, lines...) {
		if l.Sequence >= byID[l.RunID].Sequence {
			byID[l.RunID] = l
		}
	}
	all = slices.SortedFunc(maps.Values(byID), func(a, b RunLine) int {
		// Newest first, as people look for them.
		return cmp.Or(b.RequestedAt.Compare(a.RequestedAt), strings.Compare(b.RunID, a.RunID))
	})
	opt := atomicfile.Options{Sync: true, BeforeRename: failpoint.ReportUnnamed}
	if err := atomicfile.Write(filepath.Join(r.dir, RunsName), atomicfile.JSON(all), opt); err != nil {
		return err
	}
	failpoint.Here(failpoint.ReportList)
	return atomicfile.Write(filepath.Join(r.dir, RunsTextName), func(w io.Writer) error { return WriteLines(w, all) }, opt)
}

// All returns the list, newest run first; nil where there is none yet.
func (r *RunList) All() ([]RunLine, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.read()
}

func (r *RunList) read() ([]RunLine, error) {
	path := filepath.Join(r.dir, RunsName)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read run list: %w", err)
	}
	var all []RunLine
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("read run list %s: %w (remove the file to start it anew)", path, err)
	}
	return all, nil
}

// WriteLines writes one line of text for each run, in columns.
func WriteLines(w io.Writer, lines []RunLine) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, l := range lines {
		if _, err := fmt.Fprintln(out, l.columns()); err != nil {
			return err
		}
	}
	return out.Flush()
}

// columns are a line's fields with tabs between them.
func (l RunLine) columns() string {
	when, took := "-", "-"
	if !l.RequestedAt.IsZero() {
		when = l.RequestedAt.UTC().Format("2006-01-02 15:04:05Z")
	}
	if l.DurationSeconds > 0 {
		took = time.Duration(l.DurationSeconds * float64(time.Second)).Round(time.Second / 10).String()
	}
	return strings.Join([]string{
		oneLine(l.RunID), string(l.Status), cmp.Or(string(l.Phase), "-"), when, took, cmp.Or(oneLine(l.RunName), "-"), l.outcome(),
	}, "\t")
}

// outcome is what the run came to: its error, or its scores and what they
// gained over the base model.
func (l RunLine) outcome() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(l.Scores)) {
		part := fmt.Sprintf("%s %.3f", name, l.Scores[name])
		if gain, ok := l.Gains[name]; ok {
			part += fmt.Sprintf(" (%+.3f)", gain)
		}
		parts = append(parts, part)
	}
	for _, gate := range l.MissedGates {
		parts = append(parts, "gate missed: "+gate)
	}
	for _, phase := range l.FailedPhases {
		parts = append(parts, "failed: "+string(phase))
	}
	if l.Error != "" {
		parts = append(parts, l.Error)
	}
	if len(parts) == 0 {
		return "-"
	}
	return shorten(oneLine(strings.Join(parts, ", ")), 300)
}

// oneLine drops what would break a line, or a terminal.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "\uFFFD"), func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsGraphic(r)
	}), " ")
}
