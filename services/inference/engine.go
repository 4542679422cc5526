package inference

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/llm/checkpoint"
	"github.com/tunebus/tunebus/llm/generation"
	"github.com/tunebus/tunebus/llm/token"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/hostmemory"
	"github.com/tunebus/tunebus/pipeline/prediction"
	"github.com/tunebus/tunebus/pipeline/progress"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/services/inference/inputs"
)

// Engine is the built-in engine: it generates on the CPU, in pure Go.
type Engine struct {
	// SaveEvery is how often the answers so far are saved, so that a later
	// attempt need not generate them again. Default 30 s.
	SaveEvery time.Duration
	// Host says how much memory there is. Default: this machine.
	Host *hostmemory.Host

	window int // how far rows may be ahead; 0: windowRows
}

// Run implements [engine.Engine].
func (e Engine) Run(ctx context.Context, job *engine.Job) (engine.Result, error) {
	s := job.Request.Specification.Inferencer
	res := engine.Result{Notes: spec.EngineNotes(job.Request.Specification, events.Inference, spec.Builtin).Lines()}
	folders, err := inputs.FetchModels(ctx, job)
	if err != nil {
		return res, err
	}
	passes := []pass{{
		file:     prediction.FileName,
		artifact: events.ArtifactPredictions,
		Places:   inputs.Places{Base: folders.Base, Tuned: folders.Answering()},
	}}
	if s.Baseline && folders.Tuned != "" {
		passes = append(passes, pass{
			file:     prediction.BaselineFileName,
			artifact: events.ArtifactBaselinePredictions,
			Places:   inputs.Places{Base: folders.Base, Tuned: folders.BaseAdapter},
		})
	}
	job.Stage(engine.StageLoad)
	notes, err := checkModels(ctx, passes)
	res.Notes = append(res.Notes, notes...)
	if err != nil {
		return res, engine.Permanent("bad_model", err)
	}
	g := &work{job: job, host: e.host(), window: e.window}
	for i := range passes {
		passes[i].bits = llm.Bits(s.LoadIn4bit, s.LoadIn8bit)
		if err := e.fits(g.name(passes[i]), passes[i]); err != nil {
			return res, err
		}
	}
	job.Stage(engine.StageTokenise)
	q, err := inputs.OpenQuestions(ctx, job)
	if q.Set.Key != "" {
		res.Datasets = append(res.Datasets, q.Set)
	}
	if err != nil {
		return res, err
	}
	res.Notes = append(res.Notes, q.Notes...)
	for _, w := range q.Warnings {
		engine.Warn(ctx, job, w)
	}
	saver := newSaver(job, e.SaveEvery)
	defer saver.close()
	g.saver, g.questions, g.total = saver, q, q.Rows*int64(len(passes))
	for _, p := range passes {
		a, err := g.run(ctx, p)
		res.TokensIn, res.TokensOut = g.tokensIn, g.tokensOut
		res.Datasets[0].CutInPrompt = g.cut
		if err != nil {
			return res, err
		}
		res.Artifacts = append(res.Artifacts, a)
	}
	res.Notes = append(res.Notes, g.notes...)
	res.Statistics = map[string]float64{"inference_rows": float64(q.Rows)}
	return res, nil
}

// checkModels checks the models of all passes, before any of them answers. The notes say
// what is unusual in them.
func checkModels(ctx context.Context, passes []pass) (notes []string, err error) {
	defer progress.Doing(ctx, "opening the models")()
	for _, p := range passes {
		report, wrong := checkpoint.Check(p.Weights(), p.Tokens())
		for _, n := range report.Notes {
			if !slices.Contains(notes, n) {
				notes = append(notes, n)
			}
		}
		err = errors.Join(err, wrong)
	}
	return notes, err
}

// pass is one model that answers all questions.
type pass struct {
	inputs.Places

	file, artifact string
	bits           int // of the weights; 0: as they are stored
}

// open reads the model and its tokenizer.
func (p pass) open() (*llm.Model, *token.Tokenizer, error) {
	model, err := llm.OpenQuantised(p.Weights(), p.bits)
	if err != nil {
		return nil, nil, err
	}
	if adapter := p.Adapter(); adapter != "" {
		if err := model.LoadAdapter(adapter); err != nil {
			return nil, nil, err
		}
	}
	tok, err := token.Open(p.Tokens())
	return model, tok, err
}

// work generates the answers of all passes of a job. It has the rows in memory that are
// being answered, and no answers but those that wait for an earlier one.
type work struct {
	job       *engine.Job
	host      hostmemory.Host
	saver     *saver
	questions inputs.Questions
	window    int
	total     int64 // answers of all passes

	answered            int64
	tokensIn, tokensOut int64
	surveyed            bool  // a pass has been surveyed
	longest             int   // tokens of a prompt
	cut                 int64 // prompts of the first pass that lost their beginning
	unfinished          int64 // answers of a pass that end in their reasoning
	cutOff              int64 // answers of a pass that have as many tokens as they may have
	positions           int   // for how many tokens the model was made; 0: its files do not say
	went                int64 // answers of a pass that went on beyond them
	notes               []string
}

// run has the model of a pass answer the questions that the checkpoint has no
// answers to, and stores the answers of the pass.
func (g *work) run(ctx context.Context, p pass) (_ events.Artifact, err error) {
	g.job.Stage(engine.StageLoad)
	named := progress.Doing(ctx, "opening the model that writes "+p.artifact)
	model, tok, err := p.open()
	named()
	if err != nil {
		return events.Artifact{}, engine.Permanent("bad_model", err)
	}
	g.job.Stage(engine.StageTokenise)
	if err := g.survey(ctx, tok, model.Config().Positions()); err != nil {
		return events.Artifact{}, err
	}
	path, err := g.job.Scratch(p.file)
	if err != nil {
		return events.Artifact{}, err
	}
	f, err := os.Create(path)
	if err != nil {
		return events.Artifact{}, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	out := prediction.NewWriter(f, 0)
	answers, err := g.saver.open(p.file, g.questions.Rows)
	if err != nil {
		return events.Artifact{}, err
	}
	g.job.Stage(engine.StageGenerate)
	batch, err := g.newBatch(model, tok)
	if err != nil {
		return events.Artifact{}, err
	}
	t := &task{work: g, tok: tok, batch: batch, saved: answers, out: out, name: g.name(p), started: time.Now()}
	defer t.batch.Close()
	if err := t.run(ctx, g.questions.Prompts(ctx, g.job, tok)); err != nil {
		t.failed = err // what Close ends is not recorded
		return events.Artifact{}, g.saver.saveLast(ctx, err)
	}
	if err := out.Flush(); err != nil {
		return events.Artifact{}, err
	}
	g.tellOfAnswers(p)
	return g.job.PutFile(ctx, p.artifact, prediction.MediaType, path)
}

// name is what a person calls the model of a pass.
func (g *work) name(p pass) string {
	s := g.job.Request.Specification
	switch {
	case g.job.Request.Inputs.Model != nil && p.artifact == events.ArtifactPredictions:
		return "the tuned model"
	case s.Inferencer.ModelID != "":
		return fmt.Sprintf("inferencer.model_id = %q", s.Inferencer.ModelID)
	}
	return fmt.Sprintf("fine_tuner.base_model_id = %q", s.FineTuner.BaseModelID)
}

// survey renders all rows before the first answer, so that what the chat template
// refuses and how many prompts are cut is known then. positions is for how many
// tokens the model was made; 0: its files do not say.
func (g *work) survey(ctx context.Context, tok *token.Tokenizer, positions int) error {
	s := g.job.Request.Specification.Inferencer
	var cut, unwritten, beyond, reaching int64
	longest := 0 // tokens of a prompt that reaches
	g.positions = positions
	for p, err := range g.questions.Prompts(ctx, g.job, tok) {
		if err != nil {
			return err
		}
		g.tokensIn += int64(len(p.IDs))
		g.longest = max(g.longest, len(p.IDs))
		if p.Cut {
			cut++
		}
		if p.Unwritten {
			unwritten++
		}
		switch inputs.Reach(len(p.IDs), s.MaxNewTokens, positions) {
		case inputs.Beyond:
			beyond++
		case inputs.Reaching:
			reaching++
			longest = max(longest, len(p.IDs))
		}
		g.job.Advance(1)
	}
	if g.surveyed {
		return nil // all passes have nearly the same prompts
	}
	g.surveyed, g.cut = true, cut
	if cut == g.questions.Rows {
		return engine.Permanent("prompts_cut", fmt.Errorf("%s: every one of %d prompts is longer than inferencer.max_sequence_length = %d tokens "+
			"and would lose its beginning; raise it", inputs.TestingKey, cut, s.MaxSequenceLength))
	}
	g.tell(ctx, cut, fmt.Sprintf("prompts lose their beginning: they are longer than inferencer.max_sequence_length = %d tokens", s.MaxSequenceLength))
	g.tell(ctx, beyond, inputs.BeyondPositions(positions))
	if reaching > 0 {
		g.say(ctx, reaching, inputs.ReachingNote(s, fmt.Sprintf("%d of %d", reaching, g.questions.Rows), longest, positions).String())
	}
	g.tell(ctx, unwritten, "prompts have tools or calls of tools that the model's chat template does not write, so that the model does not see them")
	return nil
}

// tell warns of prompts of which something is gone if they are many, and notes them if
// they are few.
func (g *work) tell(ctx context.Context, prompts int64, lost string) {
	if prompts == 0 {
		return
	}
	g.say(ctx, prompts, fmt.Sprintf("%s: %d of %d %s", inputs.TestingKey, prompts, g.questions.Rows, lost))
}

// say says at once what concerns many prompts, and notes it otherwise.
func (g *work) say(ctx context.Context, prompts int64, text string) {
	if 10*prompts > g.questions.Rows {
		engine.Warn(ctx, g.job, text)
	} else {
		g.notes = append(g.notes, text)
	}
}

// count counts an answer that is worth a note.
func (g *work) count(p prediction.Prediction) {
	if n := p.PromptTokens; g.positions > 0 && n > 0 && n <= g.positions && n+p.Tokens > g.positions { // a longer prompt was told of
		g.went++
	}
	switch {
	case p.Answer == "" && p.Reasoning != "":
		g.unfinished++
	case p.FinishReason == string(generation.Length):
		g.cutOff++
	}
}

// tellOfAnswers notes the answers of a pass that end in their reasoning or in the middle, or
// that went on beyond what the model was made for.
func (g *work) tellOfAnswers(p pass) {
	most := g.job.Request.Specification.Inferencer.MaxNewTokens
	if g.unfinished > 0 {
		g.notes = append(g.notes, fmt.Sprintf("%s: %d of %d answers end in their reasoning, so that nothing of them is left to score; raise inferencer.max_new_tokens = %d",
			p.file, g.unfinished, g.questions.Rows, most))
	}
	if g.cutOff > 0 {
		g.notes = append(g.notes, fmt.Sprintf("%s: %d of %d answers are cut at inferencer.max_new_tokens = %d", p.file, g.cutOff, g.questions.Rows, most))
	}
	if g.went > 0 {
		g.notes = append(g.notes, fmt.Sprintf("%s: %d of %d answers went on beyond the %d tokens that the model was made for, at positions that it does not know",
			p.file, g.went, g.questions.Rows, g.positions))
	}
	g.unfinished, g.cutOff, g.went = 0, 0, 0
}
