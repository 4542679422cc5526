package processes

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"

	// The programs are built from these packages. With the imports the test cache
	// notices their changes.
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

// Programs is a folder with every program. The first call builds them, and TestMain
// of a package removes them with [Programs.Remove].
type Programs struct {
	// Tags are build tags, separated by commas, in addition to the Makefile's.
	Tags string
	// Quiet omits the output of the programs from the log of a test that failed.
	Quiet bool

	once sync.Once
	dir  string
	err  error
}

// Dir builds the programs and returns the folder.
func (p *Programs) Dir() (string, error) {
	p.once.Do(func() { p.dir, p.err = build(p.Tags) })
	return p.dir, p.err
}

// Remove removes the folder if it exists.
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
	const ours = "github.com/tunebus/tunebus/"
	c := exec.CommandContext(context.Background(), "go", "build", "-tags", "disable_grpc_modules,"+tags, "-ldflags", "-s -w", "-o", dir,
		ours+"cmd/tunebus", ours+"services/intake/cmd/tunebus-intake", ours+"services/finetune/cmd/tunebus-finetune",
		ours+"services/inference/cmd/tunebus-inference", ours+"services/evaluation/cmd/tunebus-evaluation",
		ours+"services/tracker/cmd/tunebus-tracker", "github.com/nats-io/nats-server/v2")
	c.Dir = Root()
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		return dir, fmt.Errorf("build the programs: %w\n%s", err, out)
	}
	return dir, nil
}

// Root is the folder of the repository.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "..", "..")
}
