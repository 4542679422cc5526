package evaluation

import "github.com/tunebus/tunebus/events"

// Notes names the options of a specification that this engine does not have.
// The engine adds notes about the metrics that have no score.
func Notes(s events.Evaluator) []string {
	if s.HFUserID == "" {
		return nil
	}
	return []string{"evaluator.hf_user_id: nothing was pushed to the Hub; the scores are among the run's artifacts"}
}
