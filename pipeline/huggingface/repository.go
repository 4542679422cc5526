package huggingface

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// kind is a kind of repository, by the name of its part of the API.
type kind string

const (
	models   kind = "models"
	datasets kind = "datasets"
)

// repository is one repository at one revision.
type repository struct {
	kind         kind
	id, revision string
}

func (r repository) String() string {
	s := strings.TrimSuffix(string(r.kind), "s") + " " + r.id
	if r.revision != defaultRevision {
		s += "@" + r.revision
	}
	return s
}

const defaultRevision = "main"

// parse reads owner/name[@revision]; revision wins if it is given.
func parse(k kind, id, revision string) (repository, error) {
	name, at, _ := strings.Cut(id, "@")
	if revision == "" {
		revision = at
	}
	if revision == "" {
		revision = defaultRevision
	}
	valid := regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*$`)
	if !valid.MatchString(name) || strings.Contains(name, "..") {
		return repository{}, fmt.Errorf("%q is no id of the Hub; want owner/name or owner/name@revision", id)
	}
	if !regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/-]*$`).MatchString(revision) || strings.Contains(revision, "..") {
		return repository{}, fmt.Errorf("%q is no revision", revision)
	}
	return repository{kind: k, id: name, revision: revision}, nil
}

// file is an entry of a repository's tree.
type file struct {
	Type string `json:"type"`
	Path string `json:"path"`
	Size int64  `json:"size"`
	OID  string `json:"oid"` // git's digest of the blob, SHA-1
	LFS  *struct {
		OID  string `json:"oid"` // SHA-256 of the content
		Size int64  `json:"size"`
	} `json:"lfs"`
}

// commit resolves the revision. The answer's digest becomes a folder's name,
// so that it has to be one.
func (c *Client) commit(ctx context.Context, r repository) (string, error) {
	answer, err := c.get(ctx, r.String(), c.api(r, "revision", r.revision))
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	var info struct {
		SHA string `json:"sha"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&info); err != nil {
		return "", fmt.Errorf("%s: read what the Hub says: %w: %w", r, ErrBroken, err)
	}
	if !isCommit(info.SHA) {
		return "", fmt.Errorf("%s: the Hub names no commit", r)
	}
	return info.SHA, nil
}

func isCommit(s string) bool { return regexp.MustCompile(`^[0-9a-f]{40}$`).MatchString(s) }

// tree lists the files of a commit. The list comes in pages, each of which
// names the next one; only pages of the endpoint itself are followed.
func (c *Client) tree(ctx context.Context, r repository, commit string) ([]file, error) {
	var all []file
	next := c.api(r, "tree", commit) + "?recursive=true"
	const mostPages = 1000
	for range mostPages {
		answer, err := c.get(ctx, r.String(), next)
		if err != nil {
			return nil, err
		}
		var page []file
		err = json.NewDecoder(answer.Body).Decode(&page)
		err = errors.Join(err, answer.Body.Close())
		if err != nil {
			return nil, fmt.Errorf("%s: list its files: %w: %w", r, ErrBroken, err)
		}
		for _, f := range page {
			if f.Type != "file" {
				continue
			}
			if !filepath.IsLocal(filepath.FromSlash(f.Path)) || strings.ContainsAny(f.Path, "\\\x00") {
				return nil, fmt.Errorf("%s: the Hub lists %q, which leads out of the folder", r, f.Path)
			}
			all = append(all, f)
		}
		link := nextLink(answer.Header.Get("Link"))
		if link == "" {
			return all, nil
		}
		u, err := c.base.Parse(link)
		if err != nil || u.Scheme != c.base.Scheme || u.Host != c.base.Host {
			return nil, fmt.Errorf("%s: the next page of its files is not at %s", r, c.base.Host)
		}
		next = u.String()
	}
	return nil, fmt.Errorf("%s: the list of its files does not end", r)
}

// nextLink is the address of rel="next" in a Link header (RFC 8288).
func nextLink(header string) string {
	for part := range strings.SplitSeq(header, ",") {
		address, rest, ok := strings.Cut(strings.TrimSpace(part), ">")
		if ok && strings.HasPrefix(address, "<") && strings.Contains(rest, `rel="next"`) {
			return address[1:]
		}
	}
	return ""
}

func (c *Client) api(r repository, verb, revision string) string {
	return fmt.Sprintf("%s/api/%s/%s/%s/%s", c.base, r.kind, r.id, verb, url.PathEscape(revision))
}

func (c *Client) address(r repository, commit, path string) string {
	prefix := ""
	if r.kind == datasets {
		prefix = "datasets/"
	}
	parts := strings.Split(path, "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return fmt.Sprintf("%s/%s%s/resolve/%s/%s", c.base, prefix, r.id, commit, strings.Join(parts, "/"))
}

// folder is where the cache keeps a repository.
func (c *Client) folder(r repository) string {
	return filepath.Join(c.opts.Cache, string(r.kind), strings.ReplaceAll(r.id, "/", "--"))
}

// known is the commit that the cache last saw for the revision, if its files
// are complete.
func (c *Client) known(r repository) (string, bool) {
	commit := r.revision
	if !isCommit(commit) {
		body, err := os.ReadFile(c.refFile(r))
		if err != nil {
			return "", false
		}
		commit = strings.TrimSpace(string(body))
	}
	if !isCommit(commit) {
		return "", false
	}
	_, err := os.Stat(filepath.Join(c.folder(r), commit, complete))
	return commit, err == nil
}

func (c *Client) refFile(r repository) string {
	return filepath.Join(c.folder(r), "refs", url.PathEscape(r.revision))
}
