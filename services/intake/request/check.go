package request

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// Check returns the faults of a request outside its specification. runID is the
// id of the run that the request would create.
func Check(req events.PipelineRequested, runID string) []events.Fault {
	var faults []events.Fault
	add := func(key, value, allowed, message string) {
		faults = append(faults, events.Fault{Key: key, Value: value, Allowed: allowed, Message: message})
	}
	const phases = "finetune, inference, evaluation"
	if !events.ValidToken(runID) {
		message := "not a valid run id"
		if n := len(runID); n > 64 {
			message = "takes " + events.Count(n) + " bytes, at most 64 are allowed"
		}
		add("run_id", runID, `1 to 64 of a–z, A–Z, 0–9, "_" and "-"`, message)
	}
	if events.ReservedRunID(req.RunID) {
		add("run_id", req.RunID, "", events.ReservedRunIDs)
	}
	for _, p := range slices.Sorted(maps.Keys(req.Queues)) {
		if !p.Valid() {
			add("queues", string(p), phases, "no such phase")
		}
	}
	if req.From != "" && !req.From.Valid() {
		add("from", string(req.From), phases, "no such phase")
	}
	texts := map[string]string{"run_name": req.RunName}
	for name, value := range req.Labels {
		texts["labels."+name] = name + value
	}
	for _, key := range slices.Sorted(maps.Keys(texts)) {
		if strings.Contains(texts[key], "${") {
			add(key, "", "", spec.Unexpanded)
		}
	}
	return faults
}

// UnknownKeys returns a fault for each key of a request that does not exist,
// for example a misspelled one. It is for requests that a person wrote; in an
// event an unknown key is no fault, because a newer program may have sent it.
func UnknownKeys(data []byte) []events.Fault {
	var keys map[string]json.RawMessage
	if json.Unmarshal(data, &keys) != nil {
		return nil // decoding the request fails for the same reason
	}
	var known []string
	for f := range reflect.TypeFor[events.PipelineRequested]().Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		known = append(known, name)
	}
	var faults []events.Fault
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if slices.ContainsFunc(known, func(k string) bool { return strings.EqualFold(k, key) }) {
			continue
		}
		message := "unknown key"
		switch nearest := structconf.Nearest(key, known); {
		case slices.Contains(spec.Sections(), key):
			message = "belongs below \"specification\""
		case nearest != "":
			message = fmt.Sprintf("unknown key; did you mean %q?", nearest)
		}
		faults = append(faults, events.Fault{Key: key, Allowed: strings.Join(known, ", "), Message: message})
	}
	return faults
}
