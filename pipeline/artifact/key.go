package artifact

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tunebus/tunebus/events"
)

const (
	maxKeyLength  = 512
	maxPartLength = 128
)

// Key returns the key of the artifact called name of an attempt:
// runs/<run>/<phase>/<attempt>/<name>. The name may have several parts,
// separated by "/".
func Key(run string, phase events.Phase, attempt int, name string) (string, error) {
	if !phase.Valid() {
		return "", fmt.Errorf("make artifact key: %q is no phase", phase)
	}
	if attempt < 1 {
		return "", fmt.Errorf("make artifact key: attempt %d is less than 1", attempt)
	}
	prefix, err := RunPrefix(run)
	if err != nil {
		return "", err
	}
	key := prefix + string(phase) + "/" + strconv.Itoa(attempt) + "/" + name
	if err := checkKey(key); err != nil {
		return "", fmt.Errorf("make artifact key: %w", err)
	}
	return key, nil
}

// RunOf returns the run that an artifact belongs to, by its key. ok is false for a
// key that no run owns.
func RunOf(key string) (run string, ok bool) {
	rest, ok := strings.CutPrefix(key, "runs/")
	run, _, more := strings.Cut(rest, "/")
	return run, ok && more && events.ValidToken(run)
}

// RunPrefix returns the prefix of the keys of all artifacts of a run.
func RunPrefix(run string) (string, error) {
	if !events.ValidToken(run) {
		return "", fmt.Errorf("make artifact key: %q is no run id", run)
	}
	return "runs/" + run + "/", nil
}

// checkKey refuses keys that could name a file outside the store on any
// operating system, and keys with a part that begins with a dot: the store and
// its backends use those for themselves.
func checkKey(key string) error {
	if len(key) > maxKeyLength {
		return fmt.Errorf("key %.40q… is longer than %d bytes", key, maxKeyLength)
	}
	for part := range strings.SplitSeq(key, "/") {
		if err := checkPart(part); err != nil {
			return fmt.Errorf("key %q: %w", key, err)
		}
	}
	return nil
}

func checkPart(part string) error {
	switch {
	case part == "":
		return fmt.Errorf("an empty part")
	case len(part) > maxPartLength:
		return fmt.Errorf("part %.40q… is longer than %d bytes", part, maxPartLength)
	case part[0] == '.':
		return fmt.Errorf("part %q begins with a dot", part)
	}
	for i := range len(part) {
		c := part[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("._-+=@", c) >= 0) {
			return fmt.Errorf("part %q has a character other than a–z, A–Z, 0–9 and ._-+=@", part)
		}
	}
	return nil
}
