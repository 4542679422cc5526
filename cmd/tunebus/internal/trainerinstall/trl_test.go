//go:build trl

package trainerinstall

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestTRLAnswers: the real trainer answers in a new environment, and its versions are remembered. The
// packages are those of the environment of "make test-trl": its lock is installed there.
func TestTRLAnswers(t *testing.T) {
	python := os.Getenv("TUNEBUS_TEST_TRL_PYTHON")
	if python == "" {
		t.Fatal("TUNEBUS_TEST_TRL_PYTHON names no interpreter; use make test-trl")
	}
	packages, err := exec.CommandContext(t.Context(), python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])").Output()
	if err != nil {
		t.Fatal(err)
	}
	o := options(t, newIndex(t))
	o.check, o.Python = nil, python
	o.Environ = append(o.Environ, "PYTHONPATH="+strings.TrimSpace(string(packages)))
	env, made, err := Install(t.Context(), o)
	if err != nil || !made {
		t.Fatal(err)
	}
	for _, name := range o.Engine.Packages {
		if env.Versions[name] == "" {
			t.Errorf("it does not know the version of %s: %v", name, env.Versions)
		}
	}
}
