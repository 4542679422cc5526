// Package cli is what a person types. Results go to stdout, everything else
// to stderr; the exit status is part of the interface.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/embedded"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/structconf"
	"github.com/tunebus/tunebus/pipeline/version"
)

// The exit statuses.
const (
	exitOK        = 0
	exitError     = 1
	exitInput     = 2 // bad input, or a rejected request
	exitFailure   = 3 // the run failed
	exitPartly    = 4 // a gate was missed, or a phase failed while the run went on
	exitCancelled = 5
	exitTimeout   = 6 // a wait ran out
)

// statusError is an error with an exit status of its own.
type statusError struct {
	status int
	err    error
}

func (e *statusError) Error() string { return e.err.Error() }

func (e *statusError) Unwrap() error { return e.err }

// bad marks an error as bad input.
func bad(err error) error { return &statusError{exitInput, err} }

// app is what the commands share.
type app struct {
	out    io.Writer
	screen *screen
	// terminal is what the screen shows on, if it is a terminal; else nil.
	terminal io.Writer
	json     bool
	verbose  bool
	server   conn.Options
	// settingsFiles are read instead of the usual one.
	settingsFiles []string
}

// Main runs a command and returns its exit status.
func Main(ctx context.Context, args []string, out, errout io.Writer) int {
	a := &app{out: out, screen: &screen{w: errout}, terminal: terminal(errout)}
	root := a.root()
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(a.screen)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	status := statusOf(err)
	if err.Error() != "" {
		a.say("tunebus: %v", err)
	}
	return status
}

// statusOf is the exit status that an error asks for.
func statusOf(err error) int {
	var s *statusError
	var faults structconf.Faults
	switch {
	case errors.As(err, &s):
		return s.status
	case errors.As(err, &faults), errors.Is(err, embedded.ErrInUse), errors.Is(err, embedded.ErrPort):
		return exitInput
	default:
		return exitError
	}
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use: "tunebus", Short: "Fine-tune language models as an event-driven pipeline on NATS JetStream",
		Version: version.Current(), SilenceErrors: true, SilenceUsage: true,
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return bad(err) })
	f := root.PersistentFlags()
	f.BoolVar(&a.json, "json", false, "write results as JSON")
	f.BoolVarP(&a.verbose, "verbose", "v", false, "log what the services do")
	f.StringArrayVar(&a.settingsFiles, "settings", nil, "file with settings (TOML); default $TUNEBUS_SETTINGS, then ./tunebus.toml")
	f.StringVar(&a.server.URL, "server", "", "NATS server; default: the settings' bus.url, $NATS_URL, nats://127.0.0.1:4222")
	f.StringVar(&a.server.Context, "context", "", "context of the nats command, instead of --server")
	f.StringVar(&a.server.Credentials, "creds", "", "credentials file for NATS")
	f.StringVar(&a.server.NKey, "nkey", "", "file with the seed of a NATS user's key pair")
	f.StringVar(&a.server.CAFile, "tls-ca", "", "certificates that the NATS server's is checked against")
	f.StringVar(&a.server.CertFile, "tls-cert", "", "own certificate for NATS")
	f.StringVar(&a.server.KeyFile, "tls-key", "", "key of the own certificate")
	root.AddCommand(
		a.runCommand(), a.upCommand(),
		a.submitCommand(), a.rerunCommand(), a.cancelCommand(),
		a.watchCommand(), a.showCommand(), a.runsCommand(),
		a.replayCommand(),
		a.dlqCommand(),
		a.archiveCommand(), a.gcCommand(),
		a.configCommand(),
		a.setupCommand(), a.doctorCommand(),
	)
	return root
}

func (a *app) logger() *slog.Logger {
	level := slog.LevelWarn
	if a.verbose {
		level = slog.LevelInfo
	}
	return slog.New(slog.NewTextHandler(a.screen, &slog.HandlerOptions{Level: level}))
}

// say writes a line to the screen.
func (a *app) say(format string, args ...any) { fmt.Fprintf(a.screen, format+"\n", args...) }

// result writes a command's result: as JSON, or by write.
func (a *app) result(value any, write func(io.Writer)) error {
	if !a.json {
		write(a.out)
		return nil
	}
	enc := json.NewEncoder(a.out)
	enc.SetIndent("", "  ")
	return enc.Encode(value)
}
