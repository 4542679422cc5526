package spec_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/pipeline/spec"
)

// TestAddresses: an address of a specification, which is published, holds no password, wherever
// the password has a "/"; that of a folder may hold an @, and leads to the folder that it says.
func TestAddresses(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"http://host:5000/path":   "",
		"http://u:hush@host":      "must not hold a user or password",
		"http://u:hu/sh@host":     "must not hold a user or password",
		"http://u:1/hush@host":    "must not hold a user or password",
		"https://hush@host/x":     "must not hold a user or password",
		"https://host/?key=hush":  "must not hold a secret in its query",
		"https://host/?page=1":    "",
		"file:///home/a@b/mlruns": "",
		"file:./a?b":              "write %3F",
		"file:./50%":              "write %25",
		"garbage":                 "unknown kind of address",
	} {
		for _, key := range []string{"mlflow.tracking_uri", "evaluator.judge_base_url"} {
			section, name, _ := strings.Cut(key, ".")
			if section == "evaluator" && !strings.HasPrefix(address, "http") {
				continue // what kind of address it is, its client says
			}
			raw, err := json.Marshal(map[string]any{section: map[string]any{name: address}})
			if err != nil {
				t.Fatal(err)
			}
			_, faults := spec.FromJSON(raw)
			found := ""
			for _, f := range faults {
				if f.Key == key {
					found += f.Message
				}
				if strings.Contains(f.Message+f.Value, "hu") && want != "" && strings.Contains(address, "@") {
					t.Errorf("%s = %s: the fault has the password: %+v", key, address, f)
				}
			}
			if (found == "") != (want == "") || !strings.Contains(found, want) {
				t.Errorf("%s = %s: %q, want %q", key, address, found, want)
			}
		}
	}
}
