package hubapi

import (
	"context"
	"crypto/sha1" //nolint:gosec // git names a blob by its SHA-1
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"path/filepath"
	"strings"
)

// File is an entry of the file list of a repository.
type File struct {
	Type string `json:"type"`
	Path string `json:"path"`
	Size int64  `json:"size"`
	OID  string `json:"oid"` // git's digest of the blob, SHA-1
	LFS  *LFS   `json:"lfs"`
}

// LFS describes a large file.
type LFS struct {
	OID  string `json:"oid"` // SHA-256 of the content
	Size int64  `json:"size"`
}

// Digest returns a hash for the content of the file and the expected sum: the
// SHA-256 of files in LFS, git's SHA-1 of the blob for the others.
func (f File) Digest() (hash.Hash, string) {
	if f.LFS != nil {
		return sha256.New(), f.LFS.OID
	}
	return GitHash(f.Size), f.OID
}

// ETag names the content of the file, as the Hub does in its answers.
func (f File) ETag() string {
	if f.LFS != nil {
		return f.LFS.OID
	}
	return f.OID
}

// IsDigest reports whether a text is a digest of git or of LFS.
func IsDigest(s string) bool {
	return (len(s) == 40 || len(s) == 64) && strings.Trim(s, "0123456789abcdef") == ""
}

// GitHash returns git's hash of a blob of a size.
func GitHash(size int64) hash.Hash {
	h := sha1.New() //nolint:gosec // see above
	fmt.Fprintf(h, "blob %d\x00", size)
	return h
}

// Head is the state of a revision.
type Head struct {
	// Commit is the full hash.
	Commit string
	// Private is set if not everybody can read the repository.
	Private bool
}

// Head resolves the revision of a repository. The commit becomes the name of a folder,
// so anything but the hash of a commit is refused.
func (c *Client) Head(ctx context.Context, r Repository) (Head, error) {
	var info struct {
		SHA     string `json:"sha"`
		Private bool   `json:"private"`
	}
	response, err := c.Get(ctx, r, r.String(), c.APIURL(r, "revision", r.Revision))
	if err != nil {
		return Head{}, err
	}
	if err := c.Answers.Decode(response, &info); err != nil {
		return Head{}, fmt.Errorf("%s: %w", r, err)
	}
	if !IsCommit(info.SHA) {
		return Head{}, fmt.Errorf("%s: %w", r, c.Answers.Nonsense("JSON that names no commit"))
	}
	return Head{Commit: info.SHA, Private: info.Private}, nil
}

// Files lists the files of a commit. The list has pages, and each page has a
// link to the next one; only links to the endpoint itself are followed.
func (c *Client) Files(ctx context.Context, r Repository, commit string) (_ []File, err error) {
	defer func() { err = c.Answers.HideIn(err) }()
	var all []File
	next := c.APIURL(r, "tree", commit) + "?recursive=true"
	const maxPages, maxFiles = 1000, 1_000_000
	for range maxPages {
		response, err := c.Get(ctx, r, r.String(), next)
		if err != nil {
			return nil, err
		}
		var page []File
		if err := c.Answers.Decode(response, &page); err != nil {
			return nil, fmt.Errorf("%s: list its files: %w", r, err)
		}
		for _, f := range page {
			if f.Type != "file" {
				continue
			}
			if !filepath.IsLocal(filepath.FromSlash(f.Path)) || strings.ContainsAny(f.Path, "\\\x00") {
				return nil, fmt.Errorf("%s: the Hub lists %q, which leads out of the folder", r, f.Path)
			}
			if !IsDigest(f.ETag()) {
				return nil, fmt.Errorf("%s: the Hub lists %q without a digest", r, f.Path)
			}
			all = append(all, f)
		}
		link := nextLink(response.Header.Get("Link"))
		if link == "" {
			return all, nil
		}
		u, err := c.base.Parse(link)
		if err != nil || u.Scheme != c.base.Scheme || u.Host != c.base.Host {
			return nil, fmt.Errorf("%s: the next page of its files is not at %s", r, c.base.Host)
		}
		if next = u.String(); len(all) > maxFiles {
			break
		}
	}
	return nil, errors.New(r.String() + ": the list of its files does not end")
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
