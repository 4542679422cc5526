// Package supervisor runs a command so that no process that comes from it outlives
// it, or the process that started it.
//
//	func main() {
//		supervisor.Main() // returns, unless this process is to supervise
//		…
//	}
//
//	p, err := supervisor.Start(supervisor.Command{Args: []string{"python3", "train.py"}})
//	p.Terminate()    // SIGTERM to the command alone
//	p.Kill()         // SIGKILL to all
//	exit := p.Wait() // all are gone
//
// # How it holds
//
// Between this process and the command stands the same program as a supervisor. On
// Linux it is a child subreaper: whatever loses its parent below it becomes its
// child, also in a session or process group of its own, so that nothing leaves
// the tree below it. It kills the tree when the command has ended, when it is told to,
// and when this process is gone, which it knows by the end of a pipe. So SIGKILL to
// this process ends the tree as well.
//
// If the supervisor itself is killed, the command gets SIGKILL from the kernel, and
// this process kills everything that carries the tree's mark in its environment.
//
// On other systems with Unix signals the supervisor kills the process group of the
// command. What has left the group stays.
package supervisor
