// Command basemodel generates the files of the quickstart without any download: a
// tokenizer, a small base model that answers simple questions, and a data set about
// an invented harbour that the model was not trained on. The same seed gives the
// same files.
//
// The trainer of the tokenizer (byte-level BPE) is ours, because the libraries for
// tokenizers in Go only apply a vocabulary and do not train one.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "basemodel:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("basemodel", flag.ContinueOnError)
	out := flags.String("out", "configs/quickstart", "folder to write to")
	seed := flags.Uint64("seed", 42, "seed of everything random")
	epochs := flags.Int("epochs", 10, "passes over the corpus")
	dataOnly := flags.Bool("data-only", false, "write the data set alone")
	try := flags.Bool("try", false, "fine-tune the model that is there and print how much it learned, writing nothing")
	tryEpochs := flags.Int("try-epochs", 12, "passes over the training data, for -try")
	tryRate := flags.Float64("try-rate", 2e-3, "learning rate, for -try")
	tryRank := flags.Int("try-rank", 0, "rank of an adapter, for -try; 0: train all weights")
	if err := flags.Parse(args); err != nil {
		return err
	}
	general, domain := worlds(*seed)
	train, validation, test := domainData(*seed, domain)
	if *try {
		return tryOut(ctx, filepath.Join(*out, "base-model"), train, test, tuning{*tryEpochs, *tryRate, *tryRank, int64(*seed)})
	}
	if err := os.MkdirAll(*out, 0o755); err != nil {
		return err
	}
	for name, rows := range map[string][]pair{"train": train, "validation": validation, "test": test} {
		if err := writeRows(filepath.Join(*out, name+".jsonl"), rows); err != nil {
			return err
		}
	}
	if *dataOnly {
		return nil
	}
	return makeModel(ctx, filepath.Join(*out, "base-model"), corpus(general, domain), *seed, *epochs)
}

func writeRows(path string, rows []pair) error {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	for _, r := range rows {
		if err := enc.Encode(r); err != nil {
			return err
		}
	}
	return os.WriteFile(path, []byte(b.String()), 0o644)
}
