package e2e_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/processes"
)

// programs are built once for all tests of the package.
var programs processes.Programs

func TestMain(m *testing.M) {
	status := m.Run()
	if err := programs.Remove(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(status)
}
