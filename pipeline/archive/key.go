package archive

import (
	"encoding/hex"
	"strings"

	"github.com/tunebus/tunebus/events"
)

const (
	// Prefix begins the keys of all archives.
	Prefix    = "archive/"
	extension = ".jsonl"
)

func key(run, sum string) string { return Prefix + run + "/" + sum + extension }

// parseKey returns the run and the digest in the key of an archive.
func parseKey(key string) (run, sum string, ok bool) {
	rest, ok := strings.CutPrefix(key, Prefix)
	if !ok {
		return "", "", false
	}
	run, name, _ := strings.Cut(rest, "/")
	sum, ok = strings.CutSuffix(name, extension)
	raw, err := hex.DecodeString(sum)
	return run, sum, ok && err == nil && len(raw) == 32 && events.ValidToken(run)
}
