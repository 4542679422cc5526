package inference

import (
	"fmt"

	"github.com/tunebus/tunebus/events"
)

// Notes names the options of a specification that the built-in engine does not
// have.
func Notes(s events.Inferencer) []string {
	var out []string
	if s.DType != "" && s.DType != "float32" {
		out = append(out, fmt.Sprintf("inferencer.dtype = %q: the built-in engine computes in float32", s.DType))
	}
	if s.LoadIn4bit || s.LoadIn8bit {
		out = append(out, "inferencer.load_in_4bit, load_in_8bit: the built-in engine keeps the weights as they are stored")
	}
	if !s.UseCache {
		out = append(out, "inferencer.use_cache = false: the built-in engine always uses its cache")
	}
	if s.HFUserID != "" {
		out = append(out, "inferencer.hf_user_id: nothing was pushed to the Hub; the answers are among the run's artifacts")
	}
	return out
}
