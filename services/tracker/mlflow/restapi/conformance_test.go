package restapi

import (
	"testing"

	"github.com/tunebus/tunebus/services/tracker/mlflow/mlflowtest"
)

// TestConformance holds the client to the promises of a target, over the fake
// server of this package and, where it is installed, over MLflow itself.
func TestConformance(t *testing.T) {
	t.Parallel()
	_, base := startServer(t)
	servers := map[string]string{"fake": base}
	if mlflowtest.Installed() {
		servers["mlflow"] = startMLflow(t)
	}
	for name, base := range servers {
		t.Run(name, func(t *testing.T) {
			mlflowtest.TestTarget(t, mlflowtest.Store{Target: openREST(t, base, Options{}), Reader: webReader{base}})
		})
	}
}
