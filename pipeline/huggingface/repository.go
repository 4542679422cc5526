package huggingface

import (
	"fmt"
	"regexp"
	"strings"
)

// kind is a kind of repository: its name in the paths of the API.
type kind string

const (
	models   kind = "models"
	datasets kind = "datasets"
)

const defaultRevision = "main"

var (
	idPattern       = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*$`)
	revisionPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/-]*$`)
	commitPattern   = regexp.MustCompile(`^[0-9a-f]{40}$`)
)

// repository is a repository at a revision.
type repository struct {
	kind         kind
	id, revision string
}

// parseRepository parses owner/name[@revision]. revision, if not empty, has
// priority. Both become parts of paths in the cache, so ".." is refused.
func parseRepository(k kind, id, revision string) (repository, error) {
	name, at, _ := strings.Cut(id, "@")
	if revision == "" {
		revision = at
	}
	if revision == "" {
		revision = defaultRevision
	}
	if !idPattern.MatchString(name) || strings.Contains(name, "..") {
		return repository{}, fmt.Errorf("%q is no id of the Hub; want owner/name or owner/name@revision", id)
	}
	if !revisionPattern.MatchString(revision) || strings.Contains(revision, "..") {
		return repository{}, fmt.Errorf("%q is no revision", revision)
	}
	return repository{kind: k, id: name, revision: revision}, nil
}

func (r repository) String() string {
	s := strings.TrimSuffix(string(r.kind), "s") + " " + r.id
	if r.revision != defaultRevision {
		s += "@" + r.revision
	}
	return s
}

func isCommit(s string) bool { return commitPattern.MatchString(s) }
