package processes

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	// The programs are built from these; without them a test's result would be
	// taken from the cache however they change.
	_ "github.com/tunebus/tunebus/cmd/tunebus/internal/cli"
	_ "github.com/tunebus/tunebus/pipeline/service"
)

// The programs.
const (
	Tunebus    = "tunebus"
	Intake     = "tunebus-intake"
	Finetune   = "tunebus-finetune"
	Inference  = "tunebus-inference"
	Evaluation = "tunebus-evaluation"
	Tracker    = "tunebus-tracker"
	NATS       = "nats-server"
)

// Programs is a folder with every program, which is built at the first call.
// A test's TestMain removes it with [Programs.Remove].
type Programs struct {
	// Tags are build tags, separated by commas, beside the Makefile's.
	Tags string
	// Quiet keeps what the programs wrote out of the log of a test that
	// failed. By default all of it is there.
	Quiet bool

	once sync.Once
	dir  string
	err  error
}

// Dir returns the folder.
func (p *Programs) Dir() (string, error) {
	p.once.Do(func() { p.dir, p.err = build(p.Tags) })
	return p.dir, p.err
}

// Remove removes the folder, if it was ever made.
func (p *Programs) Remove() error {
	if p.dir == "" {
		return nil
	}
	return os.RemoveAll(p.dir)
}

func build(tags string) (string, error) {
	dir, err := os.MkdirTemp("", "tunebus-programs-")
	if err != nil {
		return "", err
	}
	for name, from := range map[string][2]string{
		Tunebus:    {"cmd/tunebus", "."},
		Intake:     {"services/intake", "./cmd/tunebus-intake"},
		Finetune:   {"services/finetune", "./cmd/tunebus-finetune"},
		Inference:  {"services/inference", "./cmd/tunebus-inference"},
		Evaluation: {"services/evaluation", "./cmd/tunebus-evaluation"},
		Tracker:    {"services/tracker", "./cmd/tunebus-tracker"},
		NATS:       {"embedded", "github.com/nats-io/nats-server/v2"},
	} {
		c := exec.CommandContext(context.Background(), "go", "build", "-tags", strings.TrimSuffix("disable_grpc_modules,"+tags, ","), "-o", filepath.Join(dir, name), from[1])
		c.Dir = filepath.Join(Root(), filepath.FromSlash(from[0]))
		c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOEXPERIMENT=simd")
		if out, err := c.CombinedOutput(); err != nil {
			return dir, fmt.Errorf("build %s: %w\n%s", name, err, out)
		}
	}
	return dir, nil
}

// Root is the repository's.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "..", "..")
}
