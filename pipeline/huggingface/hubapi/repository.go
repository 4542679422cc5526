package hubapi

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// Kind is a kind of repository: its name in the paths of the API.
type Kind string

// The kinds.
const (
	Models   Kind = "models"
	Datasets Kind = "datasets"
)

// DefaultRevision is the branch that is meant where none is named.
const DefaultRevision = "main"

var (
	idPattern       = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]*/[A-Za-z0-9_][A-Za-z0-9._-]*$`)
	revisionPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/-]*$`)
	commitPattern   = regexp.MustCompile(`^[0-9a-f]{40}$`)
)

// Repository is a repository at a revision.
type Repository struct {
	Kind Kind
	// ID is owner/name.
	ID string
	// Revision is a branch, a tag or a commit.
	Revision string
}

// ParseRepository parses owner/name[@revision]. revision, if not empty, has
// priority. Both become parts of addresses and of paths in the cache, so ".." is
// refused.
func ParseRepository(k Kind, id, revision string) (Repository, error) {
	name, at, _ := strings.Cut(id, "@")
	if revision == "" {
		revision = at
	}
	if revision == "" {
		revision = DefaultRevision
	}
	if !idPattern.MatchString(name) || strings.Contains(name, "..") {
		return Repository{}, fmt.Errorf("%q is no id of the Hub; want owner/name or owner/name@revision", id)
	}
	if !revisionPattern.MatchString(revision) || strings.Contains(revision, "..") {
		return Repository{}, fmt.Errorf("%q is no revision", revision)
	}
	return Repository{Kind: k, ID: name, Revision: revision}, nil
}

func (r Repository) String() string {
	s := strings.TrimSuffix(string(r.Kind), "s") + " " + r.ID
	if r.Revision != DefaultRevision {
		s += "@" + r.Revision
	}
	return s
}

// IsCommit reports whether a text is the full hash of a commit.
func IsCommit(s string) bool { return commitPattern.MatchString(s) }

// prefix begins the path of a repository on the Hub's pages.
func (r Repository) prefix() string {
	if r.Kind == Datasets {
		return "datasets/"
	}
	return ""
}

// PageURL is the page of a repository, for people.
func (c *Client) PageURL(r Repository) string {
	return fmt.Sprintf("%s/%s%s", c.base, r.prefix(), r.ID)
}

// APIURL is the address of an operation on a repository at a revision.
func (c *Client) APIURL(r Repository, operation, revision string) string {
	return fmt.Sprintf("%s/api/%s/%s/%s/%s", c.base, r.Kind, r.ID, operation, url.PathEscape(revision))
}

// SettingsURL is the address of the settings of a repository.
func (c *Client) SettingsURL(r Repository) string {
	return fmt.Sprintf("%s/api/%s/%s/settings", c.base, r.Kind, r.ID)
}

// GlobalURL is the address of an operation that belongs to no repository.
func (c *Client) GlobalURL(operation string) string {
	return fmt.Sprintf("%s/api/%s", c.base, operation)
}

// LFSURL is the address at which uploads of large files are asked for.
func (c *Client) LFSURL(r Repository) string {
	return fmt.Sprintf("%s/%s%s.git/info/lfs/objects/batch", c.base, r.prefix(), r.ID)
}

// FileURL is the address of a file of a commit.
func (c *Client) FileURL(r Repository, commit, path string) string {
	parts := strings.Split(path, "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return fmt.Sprintf("%s/%s%s/resolve/%s/%s", c.base, r.prefix(), r.ID, commit, strings.Join(parts, "/"))
}
