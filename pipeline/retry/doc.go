// Package retry decides whether a job is retried after its engine has ended: it
// classifies the outcome and applies the retry policy of the job's
// specification.
//
//	var state *events.PhaseState // the phase in the fold of the run
//	c := retry.Classify(err, context.Cause(workCtx))
//	p := retry.NewPolicy(request, maxBackoff)
//	if c.Class == retry.ClassRetry && state.Tries()+1 < p.Tries {
//		delay := p.Delay(state.Tries() + 1)
//		…
//	}
//
// Tries and crashes are counted in the facts of the run, so a policy holds over
// all attempts and all workers.
package retry
