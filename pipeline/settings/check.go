package settings

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// minStall is the least limit of a stage: below it, work that goes on would be taken for
// work that hangs.
const minStall = time.Second

// check returns the faults of values that have the right type.
func check(s Settings) structconf.Faults {
	var faults structconf.Faults
	require := func(ok bool, key, value, message, allowed string) {
		if !ok {
			faults = append(faults, structconf.Fault{Key: key, Value: value, Message: message, Allowed: allowed})
		}
	}
	require(s.Bus.URL == "" || s.Bus.Context == "", "bus.context", s.Bus.Context, "bus.url is set too; name one of them", "")
	require((s.Bus.CertFile == "") == (s.Bus.KeyFile == ""), "bus.key_file", s.Bus.KeyFile, "a certificate and its key belong together", "")
	require(s.Intake.FullAt > 0 && s.Intake.FullAt <= 1,
		"services.intake.full_at", fmt.Sprint(s.Intake.FullAt), "out of range", "more than 0, up to 1")
	// A worker ends a cancelled phase itself within this time.
	require(s.Intake.Patience > events.CancelHandlingTime, "services.intake.patience", s.Intake.Patience.String(), "too small",
		"more than "+events.CancelHandlingTime.String()+", which a worker needs to end a cancelled phase")
	require(s.Limits.MaxTries >= 0, "limits.max_tries", fmt.Sprint(s.Limits.MaxTries), "too small", "0 or more")
	require(s.Limits.MaxCrashes >= 0, "limits.max_crashes", fmt.Sprint(s.Limits.MaxCrashes), "too small", "0 or more")
	for key, slots := range map[string]int{
		"services.finetune.slots":            s.Finetune.Slots,
		"services.inference.slots":           s.Inference.Slots,
		"services.evaluation.slots":          s.Evaluation.Slots,
		"services.tracker.slots":             s.Tracker.Slots,
		"services.evaluation.judge_parallel": s.Evaluation.JudgeParallel,
	} {
		require(slots >= 1, key, fmt.Sprint(slots), "too small", "1 or more")
	}
	for key, size := range map[string]int64{
		"services.finetune.model_cache":  s.Finetune.ModelCache,
		"services.inference.model_cache": s.Inference.ModelCache,
	} {
		require(size >= 0, key, fmt.Sprint(size), "too small", "0 or more bytes")
	}
	for key, interval := range map[string]time.Duration{
		"services.inference.save_every":  s.Inference.SaveEvery,
		"services.evaluation.save_every": s.Evaluation.SaveEvery,
	} {
		require(interval > 0, key, interval.String(), "too small", "more than 0s")
	}
	for _, p := range events.Phases() {
		limits := s.Stall(p)
		for _, stage := range slices.Sorted(maps.Keys(limits)) {
			require(limits[stage] == 0 || limits[stage] >= minStall, fmt.Sprintf("services.%s.stall.%s", p, stage), limits[stage].String(), "too small",
				minStall.String()+" or more; 0 is no limit")
		}
	}
	for key, queue := range map[string]string{
		"services.finetune.queue":   s.Finetune.Queue,
		"services.inference.queue":  s.Inference.Queue,
		"services.evaluation.queue": s.Evaluation.Queue,
	} {
		require(queue != "" && !strings.ContainsAny(queue, ".*> \t"), key, queue, "want a name without dots, stars and blanks", "")
	}
	faults = append(faults, checkCommand(s.Finetune)...)
	faults = append(faults, checkAnswers(s.Inference)...)
	requireAddress := func(key, value string) {
		_, err := Origin(value)
		require(err == nil, key, "", fmt.Sprint(err), "http://… or https://…")
	}
	requireAddress("data.hub_endpoint", s.Data.HubEndpoint)
	requireAddress("services.evaluation.judge_base_url", s.Evaluation.JudgeBaseURL)
	tracking := TrackingAddress(s.Tracker.TrackingURI)
	require(tracking == nil, "services.tracker.tracking_uri", "", fmt.Sprint(tracking), "http://… or https://…")
	for i, o := range s.Evaluation.JudgeAllowed {
		requireAddress(fmt.Sprintf("services.evaluation.judge_allowed[%d]", i), o)
	}
	for i, o := range s.Tracker.Allowed {
		requireAddress(fmt.Sprintf("services.tracker.allowed[%d]", i), o)
	}
	for i, k := range s.Credentials.Keys {
		origin, name, ok := strings.Cut(k, "=")
		key := fmt.Sprintf("credentials.keys[%d]", i)
		require(ok && name != "", key, "", "want origin=VARIABLE, the name of the variable that holds the key", "")
		requireAddress(key, origin)
	}
	return faults
}
