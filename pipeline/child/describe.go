package child

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/tunebus/tunebus/pipeline/child/supervisor"
	"github.com/tunebus/tunebus/pipeline/redaction"
)

// describeTime is how long a description may take.
const describeTime = 2 * time.Minute

// Describe asks a command what it is.
func Describe(ctx context.Context, command, environ []string) (Description, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, describeTime, fmt.Errorf("it did not end within %s", describeTime))
	defer cancel()
	secrets := redaction.New(redaction.OfVariables(environ)...)
	var last []byte
	log := &Log{}
	exit, err := capture(ctx, append(append([]string{}, command...), "--describe"), environ, secrets, func(stream, line string) {
		if stream == "stdout" && line != "" {
			last = []byte(line)
		}
		log.Add(line)
	})
	if err != nil {
		return Description{}, err
	}
	fault := func(err error) error {
		err = secrets.Error(err)
		if tail := log.Tail(1000); tail != "" {
			return fmt.Errorf("%s --describe: %w; its last lines:\n%s", command[0], err, tail)
		}
		return fmt.Errorf("%s --describe: %w", command[0], err)
	}
	switch {
	case ctx.Err() != nil:
		return Description{}, fault(context.Cause(ctx))
	case exit.Status != 0:
		return Description{}, fault(fmt.Errorf("it ended with status %d, want 0", exit.Status))
	}
	var d Description
	if err := json.Unmarshal(bytes.TrimSpace(last), &d); err != nil {
		return Description{}, fault(errors.New("the last line of stdout is no JSON object"))
	}
	if err := d.check(); err != nil {
		return Description{}, fault(err)
	}
	return d.withoutSecrets(secrets), nil
}

// capture runs a command to its end, or to that of ctx. line is called for one line
// at a time.
func capture(ctx context.Context, command, environ []string, secrets *redaction.Secrets, line func(stream, line string)) (supervisor.Exit, error) {
	var mu sync.Mutex
	var all sync.WaitGroup
	var files []*os.File
	closeAll := func() {
		for _, f := range files {
			_ = f.Close() // the command has its own
		}
		all.Wait()
	}
	for _, stream := range []string{"stdout", "stderr"} {
		r, w, err := os.Pipe()
		if err != nil {
			closeAll()
			return supervisor.Exit{}, err
		}
		files = append(files, w)
		all.Go(func() {
			readLines(r, maxLine, secrets, func(text string) {
				mu.Lock()
				defer mu.Unlock()
				line(stream, text)
			})
			_ = r.Close() // it was only read
		})
	}
	p, err := supervisor.Start(supervisor.Command{Args: command, Environ: environ, Stdout: files[0], Stderr: files[1]})
	if err != nil {
		closeAll()
		return supervisor.Exit{}, err
	}
	stop := context.AfterFunc(ctx, p.Kill)
	defer stop()
	exit := p.Wait()
	closeAll()
	return exit, nil
}
