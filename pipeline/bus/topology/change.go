package topology

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Change is something that [ApplyChanges] created, or a setting that it changed.
type Change struct {
	// What is the thing, such as "stream TUNEBUS".
	What string `json:"what"`
	// Created is set if it did not exist.
	Created bool `json:"created,omitempty"`
	// Key is the setting as NATS names it, such as max_bytes. From and To are its values;
	// of a list, what left it and what is new in it.
	Key  string `json:"key,omitempty"`
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
}

// changesOf compares two configurations, by the names that NATS gives to their settings.
func changesOf(what string, from, to any) (changes []Change) {
	before, after := settingsOf(from), settingsOf(to)
	keys := maps.Clone(before)
	maps.Copy(keys, after)
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if old, now := textOf(key, before[key], after[key]), textOf(key, after[key], before[key]); old != now {
			changes = append(changes, Change{What: what, Key: key, From: old, To: now})
		}
	}
	return changes
}

// settingsOf is a configuration as NATS reads it.
func settingsOf(config any) (out map[string]any) {
	text, err := json.Marshal(config)
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	if err != nil { // the client library sends it in the same way
		panic(fmt.Sprintf("topology: a configuration of NATS is no JSON: %v", err))
	}
	return out
}

// textOf is the value of a setting for a person. Of a list it is what the other one lacks.
func textOf(key string, value, other any) string {
	switch v := value.(type) {
	case nil:
		return noneOf(key)
	case []any:
		there, _ := other.([]any)
		only := textsOf(v)
		for _, text := range textsOf(there) {
			only = slices.DeleteFunc(only, func(one string) bool { return one == text })
		}
		if len(only) == 0 {
			return "none"
		}
		return strings.Join(only, ", ")
	case float64:
		if v <= 0 {
			return noneOf(key)
		}
		switch key {
		case "max_age", "duplicate_window", "ack_wait", "subject_delete_marker_ttl":
			return time.Duration(v).String()
		}
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprint(value)
}

// noneOf is the text of a setting that is not there.
func noneOf(key string) string {
	if strings.HasPrefix(key, "max_") {
		return "unlimited"
	}
	return "none"
}

func textsOf(values []any) (texts []string) {
	for _, one := range values {
		texts = append(texts, fmt.Sprint(one))
	}
	return texts
}
