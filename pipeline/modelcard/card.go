// Package modelcard writes the model card of a run's model: the README.md that
// lies beside its weights, in the form that the Hugging Face Hub reads.
//
//	err := modelcard.Write(w, modelcard.Card{Run: run, Kind: modelcard.Adapter, Base: "owner/name", BaseOnHub: true})
//
// A data set that a run made has a card as well ([WriteData]). Everything that they say comes from the facts of the run, so the same run
// always has the same cards.
package modelcard

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/spec"
)

// Kind is what lies beside the card.
type Kind string

// The kinds.
const (
	// Adapter is an adapter as PEFT writes it.
	Adapter Kind = "adapter"
	// Merged is a whole model, into which an adapter was merged.
	Merged Kind = "merged"
	// Full is a whole model, all weights of which were trained.
	Full Kind = "full"
)

// Card is what a model card says.
type Card struct {
	Run  events.Run
	Kind Kind
	// Base names the base model: an id of the Hub, or a folder.
	Base string
	// BaseOnHub is set where the base model came from the Hub. A relative path
	// may look like an id.
	BaseOnHub bool
	// AdapterConfig is the adapter_config.json of an adapter, or of the one that was merged,
	// as the training left it: it says what was trained where the run began with an adapter.
	AdapterConfig []byte
	// BaseBeside is set where the folder "base" beside the card holds the base
	// model.
	BaseBeside bool
}

// Write writes the card.
func Write(w io.Writer, c Card) error {
	var b strings.Builder
	c.frontMatter(&b)
	c.describe(&b)
	c.scores(&b)
	c.data(&b)
	c.use(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

// frontMatter writes what the Hub reads. JSON strings are YAML.
func (c Card) frontMatter(b *strings.Builder) {
	b.WriteString("---\n")
	if c.BaseOnHub {
		id, _, _ := strings.Cut(c.Base, "@")
		fmt.Fprintf(b, "base_model: %s\n", quoted(id))
		fmt.Fprintf(b, "base_model_relation: %s\n", map[Kind]string{Adapter: "adapter", Merged: "finetune", Full: "finetune"}[c.Kind])
	}
	if c.Kind == Adapter {
		b.WriteString("library_name: peft\n")
	} else {
		b.WriteString("library_name: transformers\n")
	}
	b.WriteString("pipeline_tag: text-generation\n")
	if ids := c.hubDatasets(); len(ids) > 0 {
		b.WriteString("datasets:\n")
		for _, id := range ids {
			fmt.Fprintf(b, "- %s\n", quoted(id))
		}
	}
	b.WriteString("tags:\n- tunebus\n")
	if c.Kind != Full {
		b.WriteString("- lora\n")
	}
	b.WriteString("---\n\n")
}

// quoted is a text as JSON and YAML write it.
func quoted(text string) string {
	body, _ := json.Marshal(text) // of a text: never fails
	return string(body)
}

func (c Card) describe(b *strings.Builder) {
	fmt.Fprintf(b, "# %s\n\n", plain(c.name()))
	what := map[Kind]string{
		Adapter: "An adapter (LoRA) for", Merged: "An adapter (LoRA), merged into", Full: "A model of which all weights were trained, beginning with",
	}[c.Kind]
	fmt.Fprintf(b, "%s `%s`. tunebus trained it in the run `%s`", what, code(c.Base), c.Run.ID)
	if done := c.completed(events.Finetune); done != nil && !done.EndedAt.IsZero() {
		fmt.Fprintf(b, ", which ended at %s", done.EndedAt.UTC().Format("2006-01-02 15:04 UTC"))
	}
	b.WriteString(".\n\n")
}

// name is the name of the run, or else its id.
func (c Card) name() string {
	if c.Run.Accepted != nil && c.Run.Accepted.RunName != "" {
		return c.Run.Accepted.RunName
	}
	return c.Run.ID
}

func (c Card) completed(p events.Phase) *events.PhaseCompleted {
	if state := c.Run.Phases[p]; state != nil {
		return state.Completed
	}
	return nil
}

// scores writes the table of scores, if there are any, and the gates.
func (c Card) scores(b *strings.Builder) {
	done := c.completed(events.Evaluation)
	if done == nil || len(done.Scores) == 0 {
		b.WriteString("It was not scored in this run.\n\n")
		return
	}
	b.WriteString("## Scores\n\n")
	if len(done.BaselineScores) > 0 {
		b.WriteString("| score | base model | this model |\n|---|---|---|\n")
	} else {
		b.WriteString("| score | this model |\n|---|---|\n")
	}
	for _, name := range slices.Sorted(maps.Keys(done.Scores)) {
		if len(done.BaselineScores) > 0 {
			before := "-"
			if v, ok := done.BaselineScores[name]; ok {
				before = fmt.Sprintf("%.3f", v)
			}
			fmt.Fprintf(b, "| %s | %s | %.3f |\n", name, before, done.Scores[name])
			continue
		}
		fmt.Fprintf(b, "| %s | %.3f |\n", name, done.Scores[name])
	}
	b.WriteString("\n")
	for _, name := range slices.Sorted(maps.Keys(done.Coverage)) {
		if n := done.Coverage[name]; n.Scored < n.Rows {
			fmt.Fprintf(b, "The score %s stands for %d of %d rows; the others have none.\n\n", name, n.Scored, n.Rows)
		}
	}
	for _, g := range done.Gates {
		met := "is missed"
		if g.Met {
			met = "is met"
		}
		fmt.Fprintf(b, "The gate %s of at least %g %s.\n", g.Metric, g.AtLeast, met)
	}
	if len(done.Gates) > 0 {
		b.WriteString("\n")
	}
}

// tables writes which data sets were read, with their digests.
func (c Card) tables(b *strings.Builder) {
	var rows []string
	for _, p := range events.Phases() {
		if done := c.completed(p); done != nil {
			for _, d := range done.Datasets {
				rows = append(rows, fmt.Sprintf("| %s | `%s` | %d | `%.16s` |\n", d.Key, code(c.idOf(d.Key)), d.Rows, d.SHA256))
			}
		}
	}
	if len(rows) > 0 {
		fmt.Fprintf(b, "## Data\n\n| key | data set | rows | SHA-256 |\n|---|---|---|---|\n%s\n", strings.Join(rows, ""))
	}
}

// data writes which data sets were read, and how the model was trained.
func (c Card) data(b *strings.Builder) {
	c.tables(b)
	if c.Run.Accepted == nil {
		return
	}
	c.training(b)
	if text := c.systemPrompt(); text != "" {
		fmt.Fprintf(b, "\nEvery row had this system prompt:\n\n%s\n", indented(text))
	}
	b.WriteString("\n")
}

func (c Card) systemPrompt() string {
	return c.Run.Accepted.Specification.FineTuner.SystemPromptOverrideText
}

// idOf is the value of a key that names a data set.
func (c Card) idOf(key string) string {
	if c.Run.Accepted != nil {
		for _, p := range spec.Paths(c.Run.Accepted.Specification) {
			if p.Key == key {
				return shown(p.Value)
			}
		}
	}
	return ""
}

// shown is a path as others may see it: the folders of a machine are nobody else's
// business.
func shown(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Base(path)
	}
	return path
}

// hubDatasets are the data sets that came from the Hub.
func (c Card) hubDatasets() []string {
	if c.Run.Accepted == nil {
		return nil
	}
	var out []string
	for _, p := range spec.Paths(c.Run.Accepted.Specification) {
		_, uploaded := c.Run.Accepted.Inputs.Files[p.Key]
		if id, _, _ := strings.Cut(p.Value, "@"); strings.HasSuffix(p.Key, "_data_id") && !uploaded && spec.IsHubID(p.Value) && !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out
}

// plain is a text on one line without Markdown.
func plain(text string) string {
	return strings.NewReplacer("\n", " ", "\r", " ", "<", "&lt;", "`", "'", "*", `\*`, "_", `\_`, "[", `\[`).Replace(text)
}

// code is a text that can stand between backticks.
func code(text string) string {
	return strings.NewReplacer("`", "'", "\n", " ", "\r", " ", "|", "¦").Replace(text)
}

// indented is a text as a block of code.
func indented(text string) string {
	return "    " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n    ")
}
