// Command tunebus fine-tunes language models as an event-driven pipeline on
// NATS JetStream.
package main

import (
	"context"
	"os"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/interrupt"
	"github.com/tunebus/tunebus/pipeline/child/supervisor"
	_ "github.com/tunebus/tunebus/pipeline/cloudblob" // artifacts at s3://, gs://, azblob://
)

func main() {
	supervisor.Main() // returns, unless this process is to watch over a trainer
	interrupt.DumpOnQuit(os.Stderr)
	ctx, forced, release := interrupt.Context(context.Background())
	process := cli.Process{Program: os.Args[0], In: os.Stdin, Out: os.Stdout, Screen: os.Stderr}
	status := make(chan int, 1)
	go func() { status <- process.Main(ctx, os.Args[1:]) }()
	var code int
	select {
	case code = <-status:
	case <-forced: // the goroutine ends with the process
		code = process.Abandon(ctx)
	}
	release()
	os.Exit(code)
}
