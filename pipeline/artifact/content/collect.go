package content

import (
	"context"
	"errors"
	"time"

	"github.com/tunebus/tunebus/pipeline/artifact"
)

// batch is how many digests a collector condemns at once. It has a minute for
// them.
const batch = 50

// Remove removes the content with these digests, for garbage collection: what
// nobody refers to. It leaves what was written, or reserved, at cutoff or later.
// Each removed object is given to removed.
func Remove(ctx context.Context, s Store, digests []string, cutoff time.Time, removed func(artifact.Object)) error {
	for len(digests) > 0 {
		n := min(batch, len(digests))
		rest, err := removeBatch(ctx, s, digests[:n], cutoff, removed)
		if err != nil {
			return err
		}
		digests = append(rest, digests[n:]...)
	}
	return nil
}

// removeBatch returns the digests that it had no time for.
func removeBatch(ctx context.Context, s Store, digests []string, cutoff time.Time, removed func(artifact.Object)) (_ []string, err error) {
	began := time.Now()
	ctx, cancel := context.WithDeadline(ctx, began.Add(condemnation))
	defer cancel()
	all := map[string]bool{}
	for _, sum := range digests {
		all[sum] = true
	}
	key, err := post(ctx, s, condemned, all)
	if err != nil {
		return nil, err
	}
	// Also after an error: who uploads waits for it.
	defer func() { err = errors.Join(err, ignoreMissing(s.Delete(context.WithoutCancel(ctx), key))) }()
	reserved, err := noticed(ctx, s, reservations, cutoff)
	if err != nil {
		return nil, err
	}
	for i, sum := range digests {
		if _, ok := reserved[sum]; ok {
			continue
		}
		if time.Since(began) > condemnation/2 {
			return digests[i:], nil
		}
		o, err := s.Stat(ctx, Prefix+sum)
		gone := errors.Is(err, artifact.ErrNotFound) // and what says that it was verified may be left
		if err != nil && !gone {
			return nil, err
		}
		if !gone && !o.ModTime.Before(cutoff) {
			continue
		}
		for _, key := range []string{Prefix + sum + verified, Prefix + sum} {
			if err := ignoreMissing(s.Delete(ctx, key)); err != nil {
				return nil, err
			}
		}
		if !gone {
			removed(o)
		}
	}
	return nil, nil
}

// RemoveNotices removes reservations and condemnations that are older than cutoff: of
// uploads that are over, and of collectors that were killed.
func RemoveNotices(ctx context.Context, s Store, cutoff time.Time) error {
	for _, prefix := range []string{reservations, condemned} {
		for o, err := range s.List(ctx, prefix) {
			if err == nil && o.ModTime.Before(cutoff) {
				err = ignoreMissing(s.Delete(ctx, o.Key))
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, artifact.ErrNotFound) {
		return nil
	}
	return err
}
