package artifact_test

import (
	"testing"

	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/artifact/artifacttest"
)

func TestBackends(t *testing.T) {
	t.Parallel()
	for name, open := range artifact.Backends() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			artifacttest.TestBackend(t, func(t *testing.T) artifact.Backend { return open(t) })
		})
	}
}
