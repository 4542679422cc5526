package artifact

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"gocloud.dev/blob"

	"github.com/tunebus/tunebus/pipeline/artifact/storeaddress"
)

// Buckets opens buckets by the scheme of their URL. Packages of drivers, such
// as cloudblob, register their schemes here in init; it does not change later.
var Buckets blob.URLMux

// Open opens the store at an address: a folder such as file:///abs/path, which
// is created if it does not exist, or a bucket with a scheme that [Buckets]
// knows, such as s3://bucket?region=eu-central-1. Errors never contain the
// query or the user of the address, because either may be a credential.
func Open(ctx context.Context, address string) (*Store, error) { return open(ctx, address, true) }

// ErrNoStore means that there is no store at an address.
var ErrNoStore = errors.New("there is no artifact store")

// OpenExisting is [Open] for a store that somebody made before. The error is
// [ErrNoStore] if there is none; nothing is made then.
func OpenExisting(ctx context.Context, address string) (*Store, error) {
	return open(ctx, address, false)
}

// CheckAddress returns the error that [Open] has for an address by itself. It opens nothing.
func CheckAddress(address string) error {
	u, name, err := storeaddress.Parse(address)
	if err != nil {
		return err
	}
	if err := checkURL(u); err != nil {
		return fmt.Errorf("artifact store %s: %w", name, err)
	}
	return nil
}

func open(ctx context.Context, address string, makes bool) (*Store, error) {
	u, name, err := storeaddress.Parse(address)
	if err != nil {
		return nil, err
	}
	if u.Scheme == "file" && !makes {
		if _, err := os.Stat(filepath.Join(filepath.FromSlash(u.Path), idKey)); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("open artifact store %s: %w", name, ErrNoStore)
		}
	}
	b, err := openBackend(ctx, u)
	if err != nil {
		return nil, fmt.Errorf("open artifact store %s: %w", name, err)
	}
	if !makes {
		if _, err := readID(ctx, b); errors.Is(err, ErrNotFound) {
			return nil, fmt.Errorf("open artifact store %s: %w", name, errors.Join(ErrNoStore, b.Close()))
		}
	}
	s, err := NewNamed(ctx, name, b)
	if err != nil {
		return nil, fmt.Errorf("open artifact store %s: %w", name, err)
	}
	return s, nil
}

// checkURL checks what an address says by itself.
func checkURL(u *url.URL) error {
	switch {
	case u.Scheme == "":
		return errors.New("the address has no scheme: write file:///abs/path for a folder")
	case u.Scheme == "file" && u.Host != "" && u.Host != "localhost":
		return errors.New("a file address has three slashes: file:///abs/path")
	case u.Scheme == "file" && (u.RawQuery != "" || u.ForceQuery || u.Fragment != ""):
		return errors.New(`in an address "?" and "#" are no part of a folder's name; write %3F for "?" and %23 for "#"`)
	case u.Scheme != "file" && !Buckets.ValidBucketScheme(u.Scheme):
		schemes := append(Buckets.BucketSchemes(), "file")
		return fmt.Errorf("this program has no driver for %q; it has: %s", u.Scheme, strings.Join(schemes, ", "))
	}
	return nil
}

func openBackend(ctx context.Context, u *url.URL) (Backend, error) {
	if err := checkURL(u); err != nil {
		return nil, err
	}
	if u.Scheme == "file" {
		return openFileBackend(filepath.FromSlash(u.Path))
	}
	b, err := Buckets.OpenBucketURL(ctx, u)
	if err != nil {
		return nil, err
	}
	return &bucketBackend{bucket: b, limits: defaultLimits(), checksums: Checksums[u.Scheme]}, nil
}
