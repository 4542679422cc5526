// Package chaos tests that the pipeline survives crashes. Its tests run the
// real programs as processes, kill them at every failpoint and at random
// moments, and audit what the processes leave behind. It has no code of its
// own.
package chaos
