package intake

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

// check finds the faults of a request beside its specification that show
// without a look at anything else. id is the run's.
func check(req events.PipelineRequested, id string) []events.Fault {
	var faults []events.Fault
	add := func(key, value, allowed, message string) {
		faults = append(faults, events.Fault{Key: key, Value: value, Allowed: allowed, Message: message})
	}
	const phases = "finetune, inference, evaluation"
	if !events.ValidToken(id) {
		add("run_id", id, `1 to 64 of a–z, A–Z, 0–9, "_" and "-"`, "not a valid run id")
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
			add(key, "", "", `"${" is expanded where a person submits, not in a request`)
		}
	}
	return faults
}

// UnknownKeys finds the keys of a request that say nothing, as a misspelled
// one does. Only in what a person wrote they are faults: an event may be of a
// newer program.
func UnknownKeys(data []byte) []events.Fault {
	var given map[string]json.RawMessage
	if json.Unmarshal(data, &given) != nil {
		return nil // it would not have become a request
	}
	var known []string
	for f := range reflect.TypeFor[events.PipelineRequested]().Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		known = append(known, name)
	}
	var faults []events.Fault
	for _, key := range slices.Sorted(maps.Keys(given)) {
		if slices.ContainsFunc(known, func(k string) bool { return strings.EqualFold(k, key) }) {
			continue
		}
		message := "unknown key"
		switch near := structconf.Nearest(key, known); {
		case slices.Contains(spec.Sections(), key):
			message = "belongs below \"specification\""
		case near != "":
			message = fmt.Sprintf("unknown key; did you mean %q?", near)
		}
		faults = append(faults, events.Fault{Key: key, Allowed: strings.Join(known, ", "), Message: message})
	}
	return faults
}
