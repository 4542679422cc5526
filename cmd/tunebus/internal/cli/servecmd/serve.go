package servecmd

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/runmodel"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view/serving"
	"github.com/tunebus/tunebus/pipeline/hostmemory"
	"github.com/tunebus/tunebus/services/inference/chatserver"
	"github.com/tunebus/tunebus/services/inference/chatserver/servedmodel"
)

type serveFlags struct {
	at          session.Location
	listen      string
	keyFile     string
	name        string
	parallel    int
	queue       int
	maxLength   int
	cacheTokens int
	grace       time.Duration
}

// Serve is "tunebus serve".
func Serve(s *session.Session) *cobra.Command {
	var f serveFlags
	c := &cobra.Command{
		Use: "serve RUN|MODEL...", Short: "Serve models over OpenAI's API, on the built-in engine", Args: someModels,
		Long: `Serves models over OpenAI's API, on the built-in engine: chat completions, text
completions, and the list of models. RUN is the model that a run tuned; its base
model is served beside an adapter. MODEL is a folder, written with a slash such as
./model, or an id of the Hub such as owner/name.

Only programs of this machine reach the server, unless --listen says another
address; then clients have to send a key, which --api-key-file or
TUNEBUS_CREDENTIALS_SERVE_KEY has. Ctrl-C lets open requests end within --grace.`,
		Example: "  tunebus serve last\n  tunebus serve ./my-model --listen 127.0.0.1:8001\n" +
			"  tunebus serve owner/name --listen 0.0.0.0:8000 --api-key-file key.txt",
		ValidArgsFunction: func(c *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if isPath(begun) {
				return nil, cobra.ShellCompDirectiveFilterDirs
			}
			return session.CompleteRunsUpTo(s, &f.at, len(args)+1)(c, args, begun)
		},
		RunE: func(c *cobra.Command, args []string) error { return f.serve(c, s, args) },
	}
	f.at.AddFlags(c)
	flags := c.Flags()
	flags.StringVar(&f.listen, "listen", "127.0.0.1:8000", "address and port; port 0: any")
	flags.StringVar(&f.keyFile, "api-key-file", "", "file with the key that clients have to send; default: the settings' credentials.serve_key")
	flags.StringVar(&f.name, "name", "", "name by which clients ask for the model; default: the run's name and id, the folder, or the id of the Hub")
	flags.IntVar(&f.parallel, "parallel", 16, "requests that are answered at once")
	flags.IntVar(&f.queue, "queue", 64, "requests more that wait; a client beyond them is told to come back (429)")
	flags.IntVar(&f.maxLength, "max-sequence-length", 0, "tokens of a prompt and its answer together, at most; default: those that the model was made for")
	flags.IntVar(&f.cacheTokens, "cache-tokens", 0, "tokens of all requests together whose keys and values are kept, at most; default: 2048 for each of --parallel")
	flags.DurationVar(&f.grace, "grace", 30*time.Second, "how long open requests may go on after Ctrl-C")
	return c
}

// someModels wants arguments.
func someModels(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return exit.Input(fmt.Errorf("want a RUN or a MODEL; %s; MODEL is a folder such as ./model, or an id of the Hub such as owner/name", session.WhatRun))
	}
	return nil
}

// check checks the flags by themselves.
func (f *serveFlags) check(c *cobra.Command, args []string) error {
	var faults []error
	for _, n := range []struct {
		flag               string
		value, least, most int
	}{{"parallel", f.parallel, 1, 4096}, {"queue", f.queue, 0, 1_000_000}, {"max-sequence-length", f.maxLength, 2, 100_000_000}, {"cache-tokens", f.cacheTokens, 2, 10_000_000_000}} {
		if (n.value < n.least || n.value > n.most) && c.Flags().Changed(n.flag) {
			faults = append(faults, fmt.Errorf("--%s %d: want %d to %d", n.flag, n.value, n.least, n.most))
		}
	}
	if f.grace < 0 {
		faults = append(faults, fmt.Errorf("--grace %s: want 0s or more", f.grace))
	}
	if c.Flags().Changed("name") && (f.name == "" || len(args) > 1) {
		faults = append(faults, errors.New("--name: want one name, for one RUN or MODEL"))
	}
	if len(faults) > 0 {
		return exit.Input(errors.Join(faults...))
	}
	return nil
}

// serve opens the models, leaves the server and its data folder, and answers requests.
func (f *serveFlags) serve(c *cobra.Command, s *session.Session, args []string) error {
	if err := f.check(c, args); err != nil {
		return err
	}
	cfg, err := s.Settings()
	if err != nil {
		return err
	}
	at, err := f.open(c.Context(), cfg.Credentials.ServeKey)
	if err != nil {
		return err
	}
	defer func() { _ = at.listener.Close() }() // it is closed already where the server ended
	return runmodel.WithScratch(cfg.Data.Scratch, "serve", func(dir string) error {
		o := opening{flags: f, session: s, settings: cfg, scratch: dir, host: hostmemory.Machine()}
		models, err := o.models(c, args)
		defer func() {
			for _, m := range models {
				m.Close()
			}
		}()
		if err != nil {
			return err
		}
		if err := c.Context().Err(); err != nil { // while a model was read, which does not end with the context
			return err
		}
		return f.answer(c, s, at, models)
	})
}

// answer answers requests until the command ends.
func (f *serveFlags) answer(c *cobra.Command, s *session.Session, at endpoint, models []*servedmodel.Model) error {
	ctx, screen, log := c.Context(), serving.New(s.Console), s.Logger()
	var cut atomic.Int64
	says := newSaying(func(n int64) {
		screen.Lost(n)
		log.Warn("requests not logged: whoever reads this was too slow", "requests", n)
	})
	defer says.end()
	server := chatserver.New(chatserver.Options{
		Models: models, Key: at.key, Local: at.key == "", Parallel: f.parallel, Queue: f.queue, Grace: f.grace, Log: log,
		OnRequest: func(r chatserver.Record) {
			if r.Cut {
				cut.Add(1)
			}
			says.say(func() {
				screen.Request(serving.Request{
					ID: r.ID, Path: r.Path, Model: r.Model, Status: r.Status, Stream: r.Stream, PromptTokens: r.PromptTokens, Tokens: r.Tokens,
					FinishReason: r.Finish, Error: r.Fault, Seconds: r.Took.Seconds(),
				})
				log.Info("request", "id", r.ID, "path", r.Path, "model", r.Model, "status", r.Status, "stream", r.Stream, "prompt_tokens", r.PromptTokens,
					"completion_tokens", r.Tokens, "finish_reason", r.Finish, "error", r.Fault, "first_token", r.First.Round(time.Millisecond), "took", r.Took.Round(time.Millisecond))
			})
		},
		OnDrain: func(open int) { says.say(func() { screen.Stopping(open, f.grace.String()) }) },
	})
	ready := serving.Ready{URL: at.url(), Parallel: f.parallel, Queue: f.queue}
	ready.Key, ready.KeySaid = at.shellKey()
	for _, m := range models {
		ready.Models = append(ready.Models, m.Names...)
		ready.MaxLength = max(ready.MaxLength, m.MaxLength)
		if !m.Lazy {
			ready.CacheBytes += m.Start()
		}
	}
	if err := screen.Ready(ready); err != nil {
		return err
	}
	if err := server.Serve(ctx, at.listener); err != nil {
		return err
	}
	says.say(func() { screen.Stopped(int(cut.Load())) })
	return exit.Silent(exit.CodeInterrupted)
}
