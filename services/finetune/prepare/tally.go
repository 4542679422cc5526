package prepare

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/llm/token/lossmask"
	"github.com/tunebus/tunebus/pipeline/dataset"
)

// Tally counts what became of the rows of a data set. It is not safe for concurrent
// use.
type Tally struct {
	key      string
	info     dataset.Info
	settings events.FineTuner
	markers  markerCheck
	// positions is as in Config.
	positions int

	rows, examples            int64 // that are trained on
	cutInPrompt, cutInAnswer  int64 // rows, by the place of the cut
	behind, ended             int64 // cut rows that are trained on: what they lose
	dropped                   dropped
	split, unasked, diverged  int64
	unlike, unwritten, beyond int64
	thoughtless               int64
	promptEnd                 map[string]int64
}

// dropped counts the rows that are left out, each by one reason.
type dropped struct {
	lost            int64 // nothing of the answer is left behind the cut
	mute            int64 // nothing counts
	equal, cutEqual int64 // both answers are the same, some only once they are cut
	apart           int64 // an answer of several turns
}

// Tally returns a tally for a data set that a key of the specification names.
func (p *Preparer) Tally(info dataset.Info, key string) *Tally {
	s := p.config.FineTuner
	return &Tally{
		key:       key,
		info:      info,
		settings:  s,
		markers:   markerCheck{given: markers(s), tok: p.tok},
		positions: p.config.Positions,
		promptEnd: map[string]int64{},
	}
}

// Key is the key that names the data set.
func (t *Tally) Key() string { return t.key }

// Add counts a row.
func (t *Tally) Add(r Row) {
	worst := lossmask.Whole
	used, longest := int64(0), 0
	for _, e := range r.Examples {
		worst = max(worst, e.Cut)
		if e.Counted() > 0 {
			used++
			longest = max(longest, len(e.IDs))
		}
	}
	if r.IsPair() {
		used = min(used, 1)
	}
	if used > 0 {
		t.rows++
	}
	t.examples += used
	t.addCut(worst, used > 0)
	if used == 0 {
		t.dropped.add(r, worst)
	}
	count := func(n *int64, yes bool) {
		if yes {
			*n++
		}
	}
	count(&t.split, r.Split)
	count(&t.unasked, r.Unasked > 0)
	count(&t.diverged, r.Diverged)
	count(&t.unlike, r.Unlike)
	count(&t.unwritten, r.unwritten)
	count(&t.thoughtless, r.thoughtless)
	count(&t.beyond, t.positions > 0 && longest > t.positions)
	if r.PromptEnd != "" {
		t.promptEnd[r.PromptEnd]++
	}
	if t.settings.TrainOnResponsesOnly && !r.IsPair() {
		t.markers.add(r)
	}
}

// addCut counts where a row is cut, and what a row that is trained on loses by it.
func (t *Tally) addCut(at lossmask.Cut, used bool) {
	switch at {
	case lossmask.InPrompt:
		t.cutInPrompt++
		if used {
			t.behind++
		}
	case lossmask.InAnswer:
		t.cutInAnswer++
		if used {
			t.ended++
		}
	}
}

// add counts a row that is left out.
func (d *dropped) add(r Row, cut lossmask.Cut) {
	switch {
	case r.pair == equalPair && cut != lossmask.Whole:
		d.cutEqual++
	case r.pair == equalPair:
		d.equal++
	case r.pair == splitPair:
		d.apart++
	case cut == lossmask.InPrompt:
		d.lost++
	default:
		d.mute++
	}
}

// read is the number of rows in the files.
func (t *Tally) read() int64 { return max(t.info.Counts.Read, t.info.Counts.Rows) }

// Dataset is the description of the data set for events, with its counts.
func (t *Tally) Dataset() events.Dataset {
	d := t.info.Event(t.key)
	d.Rows = t.rows
	d.RowsRead = t.read()
	d.WithoutAnswer = t.info.Counts.MissingAnswers
	d.CutInPrompt, d.CutInAnswer = t.cutInPrompt, t.cutInAnswer
	d.Dropped = d.RowsRead - d.Rows - d.WithoutAnswer
	if t.examples != t.rows {
		d.Examples = t.examples
	}
	return d
}

// Loss is a number of rows of which something is gone.
type Loss struct {
	Key      string // of the data set
	Rows, Of int64
	// Text says what is lost and which key decides, as the rest of a sentence.
	Text string
}

// Notable reports whether more than a tenth of the rows are concerned.
func (l Loss) Notable() bool { return 10*l.Rows > l.Of }

// String is the sentence.
func (l Loss) String() string { return fmt.Sprintf("%s: %s", l.Key, l.sentence()) }

func (l Loss) sentence() string { return fmt.Sprintf("%d of %d rows %s", l.Rows, l.Of, l.Text) }

// Losses are the rows that are cut, that the model may not learn from as meant, or of
// which nothing counts, each kind of which there are any. Rows without an answer are in the notes and warnings of the data
// set itself.
func (t *Tally) Losses() []Loss {
	return append(t.cuts(), t.present(Loss{
		Rows: t.unwritten, Text: "have tools or calls of tools that the model's chat template does not write, so that the model does not see them",
	}, Loss{
		Rows: t.thoughtless, Text: "have reasoning beside their last answer (reasoning_content) that the model's chat template does not write, so that the model does not learn it",
	}, Loss{Rows: t.beyond, Text: t.beyondText()})...)
}

// Beyond is the number of rows that are longer than what the model was made for, and
// what happens to them, as the rest of a sentence.
func (t *Tally) Beyond() (rows int64, text string) { return t.beyond, t.beyondText() }

func (t *Tally) beyondText() string {
	return fmt.Sprintf("are longer than the %d tokens that the model was made for (max_position_embeddings in its config.json): they are trained on whole, "+
		"at positions that the model does not know; fine_tuner.max_sequence_length = %d would cut them", t.positions, t.positions)
}

// cuts are the losses of the rows that are left out, and then those of the rows that are
// cut and trained on.
func (t *Tally) cuts() []Loss {
	tooLong := fmt.Sprintf("they are longer than fine_tuner.max_sequence_length = %d tokens", t.settings.MaxSequenceLength)
	return t.present(
		Loss{Rows: t.dropped.mute, Text: "have nothing that counts in the loss, and are left out"},
		Loss{Rows: t.dropped.equal, Text: "have the same tokens as chosen and as rejected answer, and are left out"},
		Loss{Rows: t.dropped.cutEqual, Text: "have the same tokens as chosen and as rejected answer once they are cut, and are left out: " + tooLong},
		Loss{Rows: t.dropped.apart, Text: "have an answer of several turns that the chat template renders apart, and are left out"},
		Loss{Rows: t.dropped.lost, Text: "are cut before their answer, of which nothing is left, and are left out: " + tooLong},
		Loss{Rows: t.behind, Text: "are cut between their answers, and lose those behind the cut: " + tooLong},
		Loss{Rows: t.ended, Text: "lose the end of their answer: " + tooLong},
	)
}

// present completes the losses of which there are any.
func (t *Tally) present(all ...Loss) []Loss {
	for i := range all {
		all[i].Key, all[i].Of = t.key, t.read()
	}
	return slices.DeleteFunc(all, func(l Loss) bool { return l.Rows == 0 })
}

// ErrNothing means that nothing of a data set is left to learn from.
var ErrNothing = errors.New("nothing to learn from")

// Failure is the error of a data set of which nothing is left; it names the cause
// and the key.
func (t *Tally) Failure() error {
	if t.rows > 0 {
		return nil
	}
	losses := t.cuts()
	if len(losses) == 0 {
		return fmt.Errorf("%s: %w: %w", t.key, ErrNothing, dataset.ErrEmpty)
	}
	slices.SortFunc(losses, func(a, b Loss) int { return int(b.Rows - a.Rows) })
	return fmt.Errorf("%s: %w: %s", t.key, ErrNothing, losses[0].sentence())
}

// Notes say what a person should know of the rows, beside [Tally.Losses].
func (t *Tally) Notes() []string {
	var notes []string
	add := func(rows int64, text string) {
		if rows > 0 {
			notes = append(notes, fmt.Sprintf("%s: %d of %d rows %s", t.key, rows, t.read(), text))
		}
	}
	add(t.split, "became one example for each answer, since the chat template renders an answer otherwise once a question follows it")
	add(t.unasked, "begin with a turn of the assistant, which no prompt asks for; it does not count in the loss")
	add(t.diverged, "are rendered as the model is asked for their answer, since the chat template renders the turns before it otherwise once it is there")
	add(t.unlike, "are rendered otherwise than the model is asked for their answer; all from where on both differ counts in the loss")
	for _, end := range slices.Sorted(maps.Keys(t.promptEnd)) {
		add(t.promptEnd[end], fmt.Sprintf("got the text %q before their answer, since the prompts of inference end in it and the chat template does not write it there", end))
	}
	return append(notes, t.markers.notes()...)
}
