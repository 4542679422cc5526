package publishing

import "github.com/tunebus/tunebus/events"

// withheld says why a run that asks for a push is not pushed, whatever the tracker may
// do; empty if it is. always has a missed gate be no obstacle.
func withheld(run events.Run, always bool) string {
	if run.Completed.Conclusion == events.Cancelled {
		return "the run was cancelled"
	}
	if gates := run.GatesForbidPush(); gates != "" && !always {
		return gates + `; "tunebus replay publishing --run ` + run.ID + ` --push-always" pushes it nevertheless, as fine_tuner.push_always = true does at once`
	}
	return ""
}

// skipped says why a run that asks for a push is not pushed; empty if it is.
func (p *Publisher) skipped(run events.Run, always bool) string {
	why := withheld(run, always)
	switch {
	case why != "":
		return why
	case p.cfg.Offline:
		return "the tracker may not ask the Hub (HF_HUB_OFFLINE, data.hub_offline)"
	case p.cfg.Token == "":
		return "the tracker has no token for " + p.cfg.Endpoint + " (HF_TOKEN, credentials.huggingface_token; --hf-key of run and up)"
	}
	return ""
}
