package modelcard

import (
	"fmt"
	"io"
	"strings"

	"github.com/tunebus/tunebus/events"
)

// Data is what the card of a data set says that a run made.
type Data struct {
	Run events.Run
	// What is [events.ProductPredictions] or [events.ProductResults].
	What events.Product
	// File is the name of the file with the rows.
	File string
}

// WriteData writes the card of a data set.
func WriteData(w io.Writer, d Data) error {
	c := Card{Run: d.Run, Kind: Full}
	var b strings.Builder
	fmt.Fprintf(&b, "---\nconfigs:\n- config_name: default\n  data_files:\n  - split: test\n    path: %s\ntags:\n- tunebus\n---\n\n", quoted(d.File))
	kind := "answers"
	if d.What == events.ProductResults {
		kind = "scores"
	}
	fmt.Fprintf(&b, "# %s: %s\n\n", plain(c.name()), kind)
	if d.What == events.ProductResults {
		b.WriteString("Each row of the test data with its answer and what every metric gave it.")
	} else {
		b.WriteString("The answer to each row of the test data.")
	}
	fmt.Fprintf(&b, " tunebus made it in the run `%s`", d.Run.ID)
	if done := c.completed(d.What.Phase()); done != nil && !done.EndedAt.IsZero() {
		fmt.Fprintf(&b, ", whose phase ended at %s", done.EndedAt.UTC().Format("2006-01-02 15:04 UTC"))
	}
	b.WriteString(".\n\n")
	if d.Run.Accepted != nil {
		fmt.Fprintf(&b, "Base model: `%s`.\n\n", code(shown(d.base())))
	}
	if done := c.completed(events.Evaluation); done != nil && len(done.Scores) > 0 {
		c.scores(&b)
	}
	c.tables(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

// base is the model of the run: the one that was tuned, or the one that answered.
func (d Data) base() string {
	s := d.Run.Accepted.Specification
	if s.Inferencer.ModelID != "" && d.Run.Phases[events.Finetune] == nil {
		return s.Inferencer.ModelID
	}
	return s.FineTuner.BaseModelID
}
