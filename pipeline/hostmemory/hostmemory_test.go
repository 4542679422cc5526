package hostmemory

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// machine is one that is made up of files.
func machine(t *testing.T, files map[string]string) Host {
	t.Helper()
	dir := t.TempDir()
	for name, body := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return Folders(filepath.Join(dir, "proc"), filepath.Join(dir, "cgroup"))
}

// TestAvailable: the smallest of what the machine has and what the groups leave counts.
func TestAvailable(t *testing.T) {
	t.Parallel()
	const meminfo = "MemTotal:       16000000 kB\nMemFree:         1000000 kB\nMemAvailable:    8000000 kB\n"
	const none = "9223372036854771712\n"
	for name, c := range map[string]struct {
		files map[string]string
		bytes int64 // 0: nothing is known
		of    string
	}{
		"nothing is known": {files: map[string]string{}},
		"no groups":        {map[string]string{"proc/meminfo": meminfo}, 8000000 << 10, "the machine"},
		"a group without a limit": {map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a\n", "cgroup/a/memory.max": "max\n", "cgroup/a/memory.current": "5\n",
		}, 8000000 << 10, "the machine"},
		"version 2": {map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a/b\n", "cgroup/a/b/memory.max": "2000\n", "cgroup/a/b/memory.current": "1500\n",
			"cgroup/a/b/memory.stat": "anon 900\nfile 600\ninactive_file 400\nactive_file 200\n",
		}, 2000 - 900, "memory.max"},
		"version 2, the group around": {map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a/b/c\n", "cgroup/a/b/c/memory.max": "max\n", "cgroup/a/b/memory.max": "5000\n",
			"cgroup/a/b/memory.current": "100\n", "cgroup/a/memory.max": "3000\n", "cgroup/a/memory.current": "1000\n",
		}, 2000, "memory.max"},
		"version 2, more is taken than there may be": {map[string]string{
			"proc/self/cgroup": "0::/\n", "cgroup/memory.max": "1000\n", "cgroup/memory.current": "1200\n",
		}, 0, "memory.max"},
		"version 2, the machine has less": {map[string]string{
			"proc/meminfo": "MemAvailable: 1 kB\n", "proc/self/cgroup": "0::/a\n", "cgroup/a/memory.max": "2000\n", "cgroup/a/memory.current": "0\n",
		}, 1024, "the machine"},
		"version 1": {map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "5:cpu,cpuacct:/x\n4:memory:/a/b\n0::/\n", "cgroup/memory/a/b/memory.limit_in_bytes": "4000\n",
			"cgroup/memory/a/b/memory.usage_in_bytes": "3000\n", "cgroup/memory/a/b/memory.stat": "inactive_file 1\ntotal_inactive_file 500\ntotal_active_file 250\n",
			"cgroup/memory/memory.limit_in_bytes": none,
		}, 4000 - 2250, "memory.limit_in_bytes"},
		"version 1, no limit": {map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "4:memory:/a\n", "cgroup/memory/a/memory.limit_in_bytes": none, "cgroup/memory/memory.limit_in_bytes": none,
		}, 8000000 << 10, "the machine"},
		"a limit of the address space": {map[string]string{
			"proc/meminfo": meminfo, "proc/self/limits": "Limit  Soft Limit  Hard Limit  Units\nMax address space         4096000              unlimited            bytes\n",
			"proc/self/status": "Name:\tx\nVmSize:\t    1000 kB\n",
		}, 3000 << 10, "ulimit -v"},
		"no limit of the address space": {map[string]string{
			"proc/meminfo": meminfo, "proc/self/limits": "Max address space         unlimited            unlimited            bytes\n",
		}, 8000000 << 10, "the machine"},
		"version 1 in a container, whose group is the outermost one": {map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "4:memory:/docker/0123\n", "cgroup/memory/memory.limit_in_bytes": "700\n", "cgroup/memory/memory.usage_in_bytes": "100\n",
		}, 600, "memory.limit_in_bytes"},
	} {
		free, ok := machine(t, c.files).Available()
		if free.Bytes != c.bytes || !strings.Contains(free.Of, c.of) || ok != (c.of != "") {
			t.Errorf("%s: %+v, %t; want %d of %q", name, free, ok, c.bytes, c.of)
		}
	}
}

// TestUsed reads what a process takes.
func TestUsed(t *testing.T) {
	t.Parallel()
	now, most := machine(t, map[string]string{"proc/self/status": "Name:\tx\nVmHWM:\t    300 kB\nVmRSS:\t    200 kB\n"}).Used()
	if now != 200<<10 || most != 300<<10 {
		t.Errorf("%d now, %d at most", now, most)
	}
	if now, most := machine(t, nil).Used(); now != 0 || most != 0 {
		t.Errorf("%d now, %d at most, of which nothing is known", now, most)
	}
}

// TestSize writes sizes for people.
func TestSize(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0 kB", 45_600: "46 kB", 2_340_000: "2.3 MB", 45_600_000: "46 MB", 3_456_000_000: "3.46 GB"} {
		if got := Size(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}
