package chaos_test

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/processes"
)

// The flags that "make chaos" sets. The defaults are a short run for "make test".
var (
	seed    = flag.Uint64("seed", 0, "seed of all random choices; 0: another one each time")
	kills   = flag.Int("kills", 16, "number of processes that are killed")
	strikes = flag.Int("strikes", 12, "number of strikes against three nodes and their services")
	runs    = flag.Int("runs", 8, "lowest number of runs")
	every   = flag.Bool("every", false, "test every failpoint in every program that reaches it")
	keep    = flag.String("keep", "", "folder that keeps all files and the logs; default: all files are removed")
)

// The programs: as they are released, and built with failpoints.
var (
	released       = processes.Programs{Quiet: true}
	withFailpoints = processes.Programs{Quiet: true, Tags: "failpoint"}
)

func TestMain(m *testing.M) {
	flag.Parse()
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano()) % 1_000_000
	}
	status := m.Run()
	for _, p := range []*processes.Programs{&released, &withFailpoints} {
		if err := p.Remove(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	os.Exit(status)
}
