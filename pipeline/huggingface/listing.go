package huggingface

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
)

// file is an entry of the file list of a repository.
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

// commit resolves the revision of a repository. The result becomes the name of
// a folder, so anything but a commit hash is refused.
func (a *api) commit(ctx context.Context, r repository) (string, error) {
	response, err := a.get(ctx, r.String(), a.apiURL(r, "revision", r.revision))
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	var info struct {
		SHA string `json:"sha"`
	}
	if err := json.NewDecoder(response.Body).Decode(&info); err != nil {
		return "", fmt.Errorf("%s: read what the Hub says: %w: %w", r, ErrBroken, err)
	}
	if !isCommit(info.SHA) {
		return "", fmt.Errorf("%s: the Hub names no commit", r)
	}
	return info.SHA, nil
}

// files lists the files of a commit. The list has pages, and each page has a
// link to the next one; only links to the endpoint itself are followed.
func (a *api) files(ctx context.Context, r repository, commit string) ([]file, error) {
	var all []file
	next := a.apiURL(r, "tree", commit) + "?recursive=true"
	const maxPages = 1000
	for range maxPages {
		response, err := a.get(ctx, r.String(), next)
		if err != nil {
			return nil, err
		}
		var page []file
		err = json.NewDecoder(response.Body).Decode(&page)
		err = errors.Join(err, response.Body.Close())
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
		link := nextLink(response.Header.Get("Link"))
		if link == "" {
			return all, nil
		}
		u, err := a.base.Parse(link)
		if err != nil || u.Scheme != a.base.Scheme || u.Host != a.base.Host {
			return nil, fmt.Errorf("%s: the next page of its files is not at %s", r, a.base.Host)
		}
		next = u.String()
	}
	return nil, fmt.Errorf("%s: the list of its files does not end", r)
}

// nextLink returns the address with rel="next" of a Link header (RFC 8288).
func nextLink(header string) string {
	for part := range strings.SplitSeq(header, ",") {
		address, rest, ok := strings.Cut(strings.TrimSpace(part), ">")
		if ok && strings.HasPrefix(address, "<") && strings.Contains(rest, `rel="next"`) {
			return address[1:]
		}
	}
	return ""
}

func (a *api) apiURL(r repository, verb, revision string) string {
	return fmt.Sprintf("%s/api/%s/%s/%s/%s", a.base, r.kind, r.id, verb, url.PathEscape(revision))
}

func (a *api) fileURL(r repository, commit, path string) string {
	prefix := ""
	if r.kind == datasets {
		prefix = "datasets/"
	}
	parts := strings.Split(path, "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return fmt.Sprintf("%s/%s%s/resolve/%s/%s", a.base, prefix, r.id, commit, strings.Join(parts, "/"))
}
