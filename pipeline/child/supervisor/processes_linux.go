package supervisor

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// executable is this program, also if its file was replaced.
func executable() (string, error) { return "/proc/self/exe", nil }

// adoptOrphans makes this process the parent of whatever loses its parent below it.
func adoptOrphans() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("adopt the processes of the command: %w", err)
	}
	return nil
}

func commandAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// descendants returns the processes below this one.
func descendants(int) []int {
	children := map[int][]int{}
	for _, pid := range allProcesses() {
		if parent, alive := parentOf(pid); alive {
			children[parent] = append(children[parent], pid)
		}
	}
	found := slices.Clone(children[os.Getpid()])
	for i := 0; i < len(found); i++ { // found grows
		found = append(found, children[found[i]]...)
	}
	return found
}

// allProcesses returns the ids of all processes that can be seen.
func allProcesses() (pids []int) {
	entries, _ := os.ReadDir("/proc")
	for _, entry := range entries {
		if pid, err := strconv.Atoi(entry.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// parentOf returns the parent of a process. One that has ended, and whose end nobody
// has taken yet, is not alive.
func parentOf(pid int) (parent int, alive bool) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, false
	}
	// The name of the program stands in brackets, and may itself hold any character.
	var state byte
	_, err = fmt.Sscanf(string(stat[bytes.LastIndexByte(stat, ')')+1:]), " %c %d", &state, &parent)
	return parent, err == nil && state != 'Z' && state != 'X'
}

// killMarked kills all processes with a mark in their environment, until there are
// none, and returns how many there were at first.
func killMarked(mark string) (first int) {
	// The kernel sends no signal for the last of other processes: this has to look again.
	for end := time.Now().Add(killTime); time.Now().Before(end); time.Sleep(killInterval) {
		marked := 0
		for _, pid := range allProcesses() {
			environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
			if err != nil || !bytes.Contains(environ, []byte(mark+"\x00")) {
				continue
			}
			if _, alive := parentOf(pid); alive {
				marked++
				_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended meanwhile
			}
		}
		if marked == 0 {
			return first
		}
		first = max(first, marked)
	}
	return first
}
