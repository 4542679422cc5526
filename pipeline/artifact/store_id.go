package artifact

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
)

// idKey is the key of the object with the id of the store. It is no valid key
// of an artifact.
const idKey = ".tunebus-store"

// identify returns the id of the store on a backend. A store without an id
// gets a new one. If several processes do this at the same time, one Put wins
// and all of them read the winner's id. The error of a losing Put is ignored,
// because S3 uses more than one code for it.
func identify(ctx context.Context, b Backend) (string, error) {
	if b, ok := b.(Identified); ok {
		return b.StoreID(ctx)
	}
	id, err := readID(ctx, b)
	if !errors.Is(err, ErrNotFound) {
		return id, err
	}
	fresh := make([]byte, 16)
	if _, err := rand.Read(fresh); err != nil {
		return "", err
	}
	content := hex.EncodeToString(fresh) + "\n"
	putErr := b.Put(ctx, idKey, "text/plain", strings.NewReader(content))
	id, err = readID(ctx, b)
	if errors.Is(err, ErrNotFound) && putErr != nil {
		return "", putErr
	}
	return id, err
}

func readID(ctx context.Context, b Backend) (string, error) {
	r, err := b.Get(ctx, idKey)
	if err != nil {
		return "", err
	}
	content, err := io.ReadAll(io.LimitReader(r, 100))
	if err := errors.Join(err, r.Close()); err != nil {
		return "", fmt.Errorf("read %s: %w", idKey, err)
	}
	id := string(bytes.TrimSpace(content))
	if raw, err := hex.DecodeString(id); err != nil || len(raw) != 16 {
		return "", fmt.Errorf("read %s: %q is no store id", idKey, id)
	}
	return id, nil
}
