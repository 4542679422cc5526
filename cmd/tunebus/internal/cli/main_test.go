package cli_test

import (
	"os"
	"testing"

	"github.com/tunebus/tunebus/pipeline/child/supervisor"
)

func TestMain(m *testing.M) {
	supervisor.Main() // for the verbs that start a trainer
	os.Exit(m.Run())
}
