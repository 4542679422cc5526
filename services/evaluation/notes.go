package evaluation

import "github.com/tunebus/tunebus/events"

// Notes name what a specification asks for and this engine does not have.
// What cannot be scored is said on top.
func Notes(s events.Evaluator) []string {
	if s.HFUserID == "" {
		return nil
	}
	return []string{"evaluator.hf_user_id: nothing was pushed to the Hub; the scores are among the run's artifacts"}
}
