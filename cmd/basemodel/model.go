package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/llm/token"
	"github.com/tunebus/tunebus/llm/token/lossmask"
)

// makeTokenizer trains the tokenizer on the corpus and writes its files.
func makeTokenizer(dir string, pairs []pair) (size int, ids map[string]int, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return 0, nil, err
	}
	texts := []string{"user\n", "assistant\n"}
	for _, p := range pairs {
		texts = append(texts, p.Question, p.Answer)
	}
	for _, a := range attributes() {
		for range 20 { // so often that each word of the domain's answers becomes one token
			texts = append(texts, fill(a.answer, "", ""))
		}
	}
	vocab, merges := vocabulary(texts, 2400)
	return writeTokenizer(dir, vocab, merges)
}

// makeModel trains the tokenizer and the base model on the corpus.
func makeModel(ctx context.Context, dir string, pairs []pair, seed uint64, epochs int) error {
	size, ids, err := makeTokenizer(dir, pairs)
	if err != nil {
		return err
	}
	tok, err := token.Open(dir)
	if err != nil {
		return err
	}
	all, err := examples(tok, pairs)
	if err != nil {
		return err
	}
	rng := rand.New(rand.NewPCG(seed, 6))
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	model, err := llm.New(llm.Config{
		ModelType:         llm.TypeLlama,
		VocabSize:         size,
		HiddenSize:        192,
		IntermediateSize:  448,
		Layers:            2,
		Heads:             4,
		KVHeads:           4,
		MaxPositions:      256,
		TieWordEmbeddings: true,
		EOSTokenID:        ids[endToken],
		PADTokenID:        ids[padToken],
	}, int64(seed))
	if err != nil {
		return err
	}
	longest := 0
	for _, e := range all {
		longest = max(longest, len(e.IDs))
	}
	fmt.Fprintf(os.Stderr, "%d examples of up to %d tokens, %d tokens in the vocabulary, %d weights\n", len(all), longest, size, model.Parameters())
	evaluation := all[:min(64, len(all))]
	_, err = model.Train(ctx, llm.InMemory(all), llm.InMemory(evaluation), llm.TrainConfig{
		Epochs:       epochs,
		BatchSize:    8,
		LearningRate: 6e-4,
		WarmupSteps:  100,
		Scheduler:    "cosine",
		WeightDecay:  0.01,
		MaxGradNorm:  1,
		Seed:         int64(seed),
		LogSteps:     100,
	}, progress(), "")
	if err != nil {
		return err
	}
	return model.Save(dir, "bfloat16")
}

func progress() llm.Hooks {
	return llm.Hooks{
		OnStep: func(i llm.StepInfo) {
			fmt.Fprintf(os.Stderr, "step %d/%d loss %.4f %.0f tokens/s\n", i.Step, i.Total, i.Loss, i.TokensPerSecond)
		},
		OnEval: func(step int64, loss float64) {
			fmt.Fprintf(os.Stderr, "step %d: loss %.4f on 64 examples\n", step, loss)
		},
	}
}

func examples(tok *token.Tokenizer, pairs []pair) ([]llm.Example, error) {
	masker := lossmask.New(tok, lossmask.Config{ResponsesOnly: true, MaxTokens: 256})
	var out []llm.Example
	for _, p := range pairs {
		row, err := masker.Conversation(lossmask.QuestionAndAnswer("", p.Question, p.Answer))
		if err != nil {
			return nil, err
		}
		for _, e := range row.Examples {
			out = append(out, llm.Example{IDs: e.IDs, Count: e.Count})
		}
	}
	return out, nil
}

type tuning struct {
	epochs int
	rate   float64
	rank   int
	seed   int64
}

// tryOut fine-tunes the base model on the domain and prints the number of correct
// key facts in the test before and after.
func tryOut(ctx context.Context, dir string, train, test []pair, cfg tuning) error {
	tok, err := token.Open(dir)
	if err != nil {
		return err
	}
	model, err := llm.Open(dir)
	if err != nil {
		return err
	}
	if err := printCorrect(ctx, "before", model, tok, test); err != nil {
		return err
	}
	if cfg.rank > 0 {
		if err := model.AttachLoRA(llm.LoRAConfig{Rank: cfg.rank, Alpha: float64(2 * cfg.rank), Seed: cfg.seed}); err != nil {
			return err
		}
	}
	rows, err := examples(tok, train)
	if err != nil {
		return err
	}
	began := time.Now()
	res, err := model.Train(ctx, llm.InMemory(rows), nil, llm.TrainConfig{
		Epochs:       cfg.epochs,
		BatchSize:    8,
		LearningRate: cfg.rate,
		WarmupSteps:  10,
		Scheduler:    "linear",
		WeightDecay:  0.01,
		MaxGradNorm:  1,
		Seed:         cfg.seed,
	}, llm.Hooks{}, "")
	if err != nil {
		return err
	}
	seconds := time.Since(began).Seconds()
	fmt.Printf("trained %d steps in %.1f s, %.0f tokens/s, loss %.4f\n", res.Steps, seconds, float64(res.Tokens)/seconds, res.FinalLoss)
	return printCorrect(ctx, "after", model, tok, test)
}

// printCorrect prints how many answers of the model have the key fact.
func printCorrect(ctx context.Context, when string, model *llm.Model, tok *token.Tokenizer, test []pair) error {
	prompts := make([][]int32, len(test))
	for i, p := range test {
		text, err := tok.Render([]token.Message{{Role: "user", Content: p.Question}}, true)
		if err != nil {
			return err
		}
		prompts[i] = tok.Encode(text)
	}
	began, correct, shown := time.Now(), 0, 0
	err := model.Generate(ctx, prompts, llm.GenerateConfig{MaxNewTokens: 32, EOS: tok.EOS(), BatchSize: 32}, func(i int, ids []int32) error {
		answer := tok.Decode(ids, true)
		if strings.Contains(answer, test[i].KeyFact) {
			correct++
		}
		if shown < 4 {
			shown++
			fmt.Printf("  %s\n  → %s\n    (%s)\n", test[i].Question, answer, test[i].Answer)
		}
		return nil
	})
	fmt.Printf("%s: %d of %d key facts, in %.1f s\n", when, correct, len(test), time.Since(began).Seconds())
	return err
}
