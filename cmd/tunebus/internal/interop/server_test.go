//go:build interop

package interop

import (
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
)

// startMLflow runs an MLflow server on a new database until the test ends, and
// returns its address.
func startMLflow(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, "server.log"))
	if err != nil {
		t.Fatal(err)
	}
	server := exec.Command(interpreter(t), "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", port, "--workers", "1",
		"--backend-store-uri", "sqlite:///"+filepath.Join(dir, "mlflow.db"), "--artifacts-destination", filepath.Join(dir, "artifacts"))
	server.Stdout, server.Stderr, server.Dir = log, log, dir
	server.Env = append(os.Environ(), "MLFLOW_DISABLE_TELEMETRY=true")
	// The server starts processes of its own, which end with their group.
	server.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-server.Process.Pid, syscall.SIGKILL)
		_ = server.Wait() // its error is that it was killed
		_ = log.Close()
		if t.Failed() {
			t.Logf("the end of MLflow's log:\n%.5000s", clitest.Text(t, log.Name()))
		}
	})
	awaitServer(t, "http://"+address)
	return "http://" + address
}

// awaitServer waits until a server answers. The first start of a new environment
// compiles thousands of files of Python.
func awaitServer(t *testing.T, address string) {
	t.Helper()
	const patience = 15 * time.Minute
	limit := time.After(patience)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		response, err := http.Get(address + "/health")
		if err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return
			}
			err = errors.New(response.Status)
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("MLflow's server does not answer for %s: %v", patience, err)
		}
	}
}
