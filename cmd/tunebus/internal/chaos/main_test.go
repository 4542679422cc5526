package chaos_test

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/processes"
)

// What "make chaos" says; the defaults are a short run for "make test".
var (
	seed  = flag.Uint64("seed", 0, "what happens when follows from it; 0: another one each time")
	kills = flag.Int("kills", 16, "processes that are killed")
	runs  = flag.Int("runs", 8, "runs, at least")
	every = flag.Bool("every", false, "every point of failure in every program that comes by there")
	keep  = flag.String("keep", "", "folder in which everything stays, with the logs; default: nothing stays")
)

// The programs as they are delivered, and with points of failure.
var (
	delivered = processes.Programs{Quiet: true}
	doomed    = processes.Programs{Quiet: true, Tags: "failpoint"}
)

func TestMain(m *testing.M) {
	flag.Parse()
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano()) % 1_000_000
	}
	status := m.Run()
	for _, p := range []*processes.Programs{&delivered, &doomed} {
		if err := p.Remove(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	os.Exit(status)
}
