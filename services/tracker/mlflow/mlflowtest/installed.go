package mlflowtest

import (
	"context"
	"os/exec"
	"sync"
)

// Installed reports whether Python and MLflow are installed. Tests that need
// the real MLflow run only there; the promises of the targets are tested
// everywhere.
var Installed = sync.OnceValue(func() bool {
	return exec.CommandContext(context.Background(), "python3", "-c", "import mlflow").Run() == nil
})
