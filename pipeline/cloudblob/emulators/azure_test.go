//go:build azurite

package emulators_test

import (
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"gocloud.dev/blob/azureblob"

	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/artifact/artifacttest"
)

// TestAzureBackend does not run in parallel, because the driver reads the account
// from the environment.
func TestAzureBackend(t *testing.T) {
	for name, value := range map[string]string{
		"AZURE_STORAGE_ACCOUNT": "devstoreaccount1",
		// Azurite's documented key, the same for every installation.
		"AZURE_STORAGE_KEY":               "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
		"AZURE_STORAGE_DOMAIN":            azurite(t),
		"AZURE_STORAGE_PROTOCOL":          "http",
		"AZURE_STORAGE_IS_LOCAL_EMULATOR": "true",
	} {
		t.Setenv(name, value)
	}
	service, err := azureblob.NewServiceURL(azureblob.NewDefaultServiceURLOptions())
	if err != nil {
		t.Fatal(err)
	}
	var containers atomic.Int64
	artifacttest.TestBackend(t, func(t *testing.T) artifact.Backend {
		name := fmt.Sprintf("container-%d", containers.Add(1))
		client, err := azureblob.NewDefaultClient(service, azureblob.ContainerName(name))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.Create(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		return openBucket(t, "azblob://"+name)
	})
}

// azurite starts Azurite, Microsoft's emulator of its store (a program for
// Node), and returns its address as soon as it accepts connections.
func azurite(t *testing.T) string {
	t.Helper()
	address := freeAddress(t)
	cmd := exec.Command("npx", "--yes", "--package", "azurite@3.35.0", "azurite-blob", // killed below, with its process group
		"--silent", "--skipApiVersionCheck", "--inMemoryPersistence", "--blobHost", address.IP.String(), "--blobPort", strconv.Itoa(address.Port))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // npx starts further processes
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); err != nil {
			t.Error(err)
		}
		_ = cmd.Wait() // returns that it was killed
	})
	// npx may have to download it first. Only its port shows that it is ready,
	// so the test polls the port for a limited time.
	for until := time.Now().Add(3 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		c, err := new(net.Dialer).DialContext(t.Context(), "tcp", address.String())
		if err == nil {
			_ = c.Close()
			return address.String()
		}
		if time.Now().After(until) {
			t.Fatal(err)
		}
	}
}
