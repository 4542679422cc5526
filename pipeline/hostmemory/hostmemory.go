// Package hostmemory says how much memory a process may still take: what the machine has
// available, or what the limits of its control groups leave, of versions 1 and 2, or its own
// limit of its address space ("ulimit -v"). It reads
// the files of Linux; other systems say nothing.
//
//	free, ok := hostmemory.Machine().Available()
//	if ok && needed > free.Bytes { … }
package hostmemory

import (
	"bufio"
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Host is a machine, by the folders in which it tells of itself.
type Host struct{ proc, groups string }

// Machine is this machine.
func Machine() Host { return Host{"/proc", "/sys/fs/cgroup"} }

// Folders is a machine that tells of itself in other folders than /proc and
// /sys/fs/cgroup.
func Folders(proc, groups string) Host { return Host{proc, groups} }

// Free is memory that can still be taken.
type Free struct {
	Bytes int64
	// Of says whose it is, such as "the machine".
	Of string
}

// Available is how much memory this process may still take. ok is false where nothing
// says so.
func (h Host) Available() (free Free, ok bool) {
	if n, has := field(filepath.Join(h.proc, "meminfo"), "MemAvailable:"); has {
		free, ok = Free{n << 10, "the machine"}, true
	}
	for _, g := range h.ofProcess() {
		if left, limited := g.left(); limited && (!ok || left < free.Bytes) {
			free, ok = Free{left, "the control group of the process (" + g.version.limit + ")"}, true
		}
	}
	if left, limited := h.addresses(); limited && (!ok || left < free.Bytes) {
		free, ok = Free{left, "the address space of the process (ulimit -v)"}, true
	}
	return free, ok
}

// addresses is what the limit of the address space leaves. limited is false where there
// is none.
func (h Host) addresses() (left int64, limited bool) {
	const name = "Max address space"
	body, err := os.ReadFile(filepath.Join(h.proc, "self", "limits"))
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(body)) {
		values, found := strings.CutPrefix(line, name)
		if words := strings.Fields(values); found && len(words) > 0 {
			limit, err := strconv.ParseInt(words[0], 10, 64) // or "unlimited"
			taken, _ := field(filepath.Join(h.proc, "self", "status"), "VmSize:")
			return max(0, limit-taken<<10), err == nil
		}
	}
	return 0, false
}

// Used is how much memory this process takes, and took at most so far. Both are 0 where
// nothing says so.
func (h Host) Used() (now, most int64) {
	path := filepath.Join(h.proc, "self", "status")
	now, _ = field(path, "VmRSS:")
	most, _ = field(path, "VmHWM:")
	return now << 10, most << 10
}

// version is how a version of control groups names its files.
type version struct {
	limit, used string
	// cached are the fields of memory.stat with pages of files, which the kernel takes
	// back where memory is short.
	cached []string
}

// The versions.
var (
	second = version{"memory.max", "memory.current", []string{"inactive_file", "active_file"}}
	first  = version{"memory.limit_in_bytes", "memory.usage_in_bytes", []string{"total_inactive_file", "total_active_file"}}
)

// group is a control group.
type group struct {
	dir     string
	version version
}

// ofProcess are the groups that the process is in, and those that these are in. A
// container may see its own group as the outermost one, and no other.
func (h Host) ofProcess() (out []group) {
	body, err := os.ReadFile(filepath.Join(h.proc, "self", "cgroup"))
	if err != nil {
		return nil
	}
	add := func(v version, mount, path string) {
		for dir := filepath.Clean("/" + path); ; dir = filepath.Dir(dir) {
			out = append(out, group{filepath.Join(mount, dir), v})
			if dir == "/" {
				return
			}
		}
	}
	for line := range strings.Lines(string(body)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch {
		case len(parts) < 3:
		case parts[0] == "0" && parts[1] == "":
			add(second, h.groups, parts[2])
			add(second, filepath.Join(h.groups, "unified"), parts[2])
		case strings.Contains(","+parts[1]+",", ",memory,"):
			add(first, filepath.Join(h.groups, "memory"), parts[2])
		}
	}
	return out
}

// left is what the group's limit leaves. limited is false where it has none.
func (g group) left() (n int64, limited bool) {
	limit, ok := number(filepath.Join(g.dir, g.version.limit))
	if !ok || limit > math.MaxInt64/2 { // version 1 has a large number for none
		return 0, false
	}
	used, ok := number(filepath.Join(g.dir, g.version.used))
	if !ok {
		return limit, true
	}
	for _, name := range g.version.cached {
		cached, _ := field(filepath.Join(g.dir, "memory.stat"), name)
		used -= cached
	}
	return max(0, limit-max(0, used)), true
}

// number is what a file holds.
func number(path string) (int64, bool) {
	body, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(body)), 10, 64)
	return n, err == nil
}

// field is the number behind a name at the beginning of a line of a file.
func field(path, name string) (int64, bool) {
	body, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	lines := bufio.NewScanner(bytes.NewReader(body))
	for lines.Scan() {
		if words := strings.Fields(lines.Text()); len(words) > 1 && words[0] == name {
			n, err := strconv.ParseInt(words[1], 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}

// Size is a number of bytes as people read it; a megabyte is 10⁶ bytes.
func Size(n int64) string {
	const kilobyte, megabyte, gigabyte = 1e3, 1e6, 1e9
	switch {
	case n < megabyte:
		return fmt.Sprintf("%.0f kB", float64(n)/kilobyte)
	case n < 10*megabyte:
		return fmt.Sprintf("%.1f MB", float64(n)/megabyte)
	case n < gigabyte:
		return fmt.Sprintf("%.0f MB", float64(n)/megabyte)
	}
	return fmt.Sprintf("%.2f GB", float64(n)/gigabyte)
}
