package runcmd_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/tunebus/tunebus/pipeline/child/supervisor"
)

func TestMain(m *testing.M) {
	supervisor.Main() // for the runs that ask a program what it is
	goleak.VerifyTestMain(m)
}
