package publishing

import (
	"strings"

	"github.com/tunebus/tunebus/events"
)

// skipped says why a run that asks for a push is not pushed; empty if it is.
func (p *Publisher) skipped(run events.Run) string {
	s := run.Accepted.Specification
	var missed []string
	for _, g := range run.Completed.Gates {
		if !g.Met {
			missed = append(missed, g.Metric)
		}
	}
	switch {
	case run.Completed.Conclusion == events.Cancelled:
		return "the run was cancelled"
	case s.FineTuner.PushAlways:
	case len(missed) > 0:
		return "gates are missed: " + strings.Join(missed, ", ") + "; fine_tuner.push_always = true pushes nevertheless"
	case len(s.Evaluator.Gates) > 0 && len(run.Completed.Gates) == 0:
		return "the gates were not evaluated; fine_tuner.push_always = true pushes nevertheless"
	}
	switch {
	case p.cfg.Offline:
		return "the tracker may not ask the Hub (HF_HUB_OFFLINE, data.hub_offline)"
	case p.cfg.Token == "":
		return "the tracker has no token for " + p.cfg.Endpoint + " (HF_TOKEN, credentials.huggingface_token; --hf-key of run and up)"
	}
	return ""
}
