//go:build unix && !linux

package supervisor

import (
	"os"
	"syscall"
)

func executable() (string, error) { return os.Executable() }

// adoptOrphans does nothing: only Linux can do that.
func adoptOrphans() error { return nil }

func commandAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// descendants returns the process group of the command, as a signal takes it.
func descendants(command int) []int {
	if syscall.Kill(-command, 0) != nil {
		return nil
	}
	return []int{-command}
}

// killMarked does nothing: the environment of processes cannot be read.
func killMarked(string) int { return 0 }
