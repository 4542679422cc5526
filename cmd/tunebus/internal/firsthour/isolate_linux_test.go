package firsthour

import (
	"context"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// inside is set in the process that brings the network of the shell up.
const inside = "TUNEBUS_FIRSTHOUR_SHELL"

// isolate has a command run in a network of its own, so that no other server of the
// machine is found on the usual port. Where that is not allowed it returns false.
func isolate(c *exec.Cmd) bool {
	probe := exec.CommandContext(context.Background(), "true")
	probe.SysProcAttr = ownNetwork()
	if probe.Run() != nil {
		return false
	}
	self, err := os.Executable()
	if err != nil {
		return false
	}
	c.Env = append(c.Env, inside+"="+c.Path)
	c.Path, c.SysProcAttr = self, ownNetwork()
	return true
}

func ownNetwork() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: os.Getuid(), HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: os.Getgid(), HostID: os.Getgid(), Size: 1}},
		// The loopback of a new network is down, and only its owner may bring it up.
		AmbientCaps: []uintptr{unix.CAP_NET_ADMIN},
	}
}

// becomeShell brings the loopback up and becomes the shell, in a process of
// [isolate]. In any other one it returns.
func becomeShell() {
	shell := os.Getenv(inside)
	if shell == "" {
		return
	}
	if err := loopback(); err != nil {
		panic(err)
	}
	_ = os.Unsetenv(inside) // of a variable that is set
	panic(syscall.Exec(shell, os.Args, os.Environ()))
}

func loopback() error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(s) }() // nothing was sent
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, request)
}
