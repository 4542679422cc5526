// Package hostmemorytest has machines with little memory, for tests.
//
//	engine := finetune.Engine{Host: hostmemorytest.Limited(t, 1_000_000)}
package hostmemorytest

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/tunebus/tunebus/pipeline/hostmemory"
)

// Limited is a machine whose control group leaves so many bytes.
func Limited(t *testing.T, bytes int64) *hostmemory.Host {
	t.Helper()
	dir := t.TempDir()
	for name, body := range map[string]string{
		"proc/self/cgroup": "0::/job\n", "proc/meminfo": "MemAvailable: 100000000 kB\n",
		"proc/self/status":      "VmHWM: 3000 kB\nVmRSS: 2000 kB\n",
		"cgroup/job/memory.max": strconv.FormatInt(bytes+1000, 10), "cgroup/job/memory.current": "1000\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	h := hostmemory.Folders(filepath.Join(dir, "proc"), filepath.Join(dir, "cgroup"))
	return &h
}
