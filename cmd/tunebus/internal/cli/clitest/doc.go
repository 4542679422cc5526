// Package clitest gives the tests of commands a way to run them: the whole
// command line in the process, services that stay up, and data folders that
// earlier runs left behind.
//
// [Run] runs a command and returns its exit status, stdout and stderr.
// [NewServices] runs "tunebus up" in a folder of the test; [NewDataFolder] is a
// folder without a server. [MLflowRuns], [InWorkbook] and [Object] read what a
// run left behind. Whatever goes wrong fails the test.
//
//	services := clitest.NewServices(t)
//	status, summary, screen := services.Submit(t, nil, "--skip-finetuning")
package clitest
