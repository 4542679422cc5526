package e2e_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/processes"
)

// BenchmarkIdle reports the memory of all services in one idle process, as Linux
// counts it: the resident memory, and the part of it that is not the program's file,
// which the system can drop and read again.
//
// The program is a copy, like an installed program: Linux may cache a file that was
// just linked in pieces of 2 MiB, and counts each piece that the program touched.
func BenchmarkIdle(b *testing.B) {
	const steady, step = 3 * time.Second, 256 // KiB
	bin, err := programs.Dir()
	if err != nil {
		b.Fatal(err)
	}
	copyFile(b, filepath.Join(bin, "tunebus"), filepath.Join(bin, "installed"))
	for b.Loop() {
		p := programs.Start(b, b.TempDir(), "installed", nil, "up", "--port", "0")
		p.WaitForLog(b, "ready:")
		last, since := 0, time.Now()
		processes.Eventually(b, time.Minute, "the memory stays the same", func() error {
			if now := resident(b, p, "VmRSS"); now > last+step || now < last-step {
				last, since = now, time.Now()
			}
			if time.Since(since) < steady {
				return fmt.Errorf("it is %d KiB", last)
			}
			return nil
		})
		b.ReportMetric(float64(resident(b, p, "VmRSS"))*1024/1e6, "MB-resident")
		b.ReportMetric(float64(resident(b, p, "RssAnon"))*1024/1e6, "MB-own")
		p.Stop(b)
	}
}

// resident reads a value in KiB from the status of a process.
func resident(b *testing.B, p *processes.Process, name string) int {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	if err != nil {
		b.Fatal(err)
	}
	m := regexp.MustCompile(name + `:\s+(\d+) kB`).FindSubmatch(status)
	if m == nil {
		b.Fatalf("no %s in\n%s", name, status)
	}
	n, err := strconv.Atoi(string(m[1]))
	if err != nil {
		b.Fatal(err)
	}
	return n
}

func copyFile(b *testing.B, from, to string) {
	b.Helper()
	r, err := os.Open(from)
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	w, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := io.Copy(w, r); err != nil {
		b.Fatal(err)
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
}
