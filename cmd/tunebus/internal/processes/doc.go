// Package processes builds the programs of tunebus and runs them as processes, for
// the tests of the real programs. It kills the processes that still run when their
// test ends. Only tests import it.
//
//	var programs processes.Programs // TestMain calls programs.Remove
//
//	p := programs.Start(t, t.TempDir(), processes.Intake, env)
//	p.WaitForLog(t, "waiting for NATS")
//	p.Stop(t)
package processes
