package runrequest

import (
	"maps"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/pipeline/redaction"
	"github.com/tunebus/tunebus/pipeline/settings"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// shortestSecret is the shortest value that counts as a secret. A shorter one
// is in many texts by chance.
const shortestSecret = 8

// CheckNoSecrets rejects a request that contains a secret of the settings, or a label with
// an address that holds one: it would be stored for everyone to read. Secrets shorter than 8 bytes are
// ignored.
func (r Request) CheckNoSecrets(cfg settings.Settings) error {
	texts := map[string]string{"--set": string(r.Overrides)}
	for _, v := range structconf.Values(r.Specification) {
		texts[v.Section+"."+v.Name] = v.Text
	}
	for name, value := range r.Labels {
		texts["--label "+name] = value
	}
	var faults structconf.Faults
	secrets := structconf.Secrets(cfg)
	for _, key := range slices.Sorted(maps.Keys(texts)) {
		if redaction.HasSecret(texts[key]) && strings.HasPrefix(key, "--label ") {
			faults = append(faults, structconf.Fault{Key: key, Message: "holds an address with a password or a secret; a request is stored for everybody to read"})
		}
		for _, name := range slices.Sorted(maps.Keys(secrets)) {
			if s := secrets[name]; len(s) >= shortestSecret && strings.Contains(texts[key], s) {
				faults = append(faults, structconf.Fault{Key: key, Message: "holds the secret " + name + "; a request is stored for everybody to read"})
			}
		}
	}
	return Faulty(faults)
}
