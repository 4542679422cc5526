package artifact

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"

	"gocloud.dev/blob"

	"github.com/tunebus/tunebus/events"
)

// ServerChecksums are the checksums of a kind of bucket whose server computes the
// SHA-256 of what it gets, and refuses what does not have the one that was announced.
// A store need not read back an object of which its server says so.
type ServerChecksums struct {
	// Ask makes a context in which a request for attributes asks for the checksum.
	Ask func(ctx context.Context) context.Context
	// Answer returns the checksum, or nothing if the server has none: the SHA-256 in
	// base64 or, of an object that was sent in parts, that of the SHA-256 of all parts
	// with a hyphen and their number behind it.
	Answer func(a *blob.Attributes) string
}

// Checksums are the checksums of buckets by their scheme. Packages of drivers
// add theirs in init; it does not change later.
var Checksums = map[string]ServerChecksums{}

// attester is a [Backend] that can ask its server what it stored.
type attester interface {
	// attests reports whether the server says that an object has this content. If it
	// does not know, the answer is no.
	attests(ctx context.Context, ref events.Reference, parts *partDigests) bool
}

// attests implements attester. An error is no answer: who reads the object back gets
// it again.
func (b *bucketBackend) attests(ctx context.Context, ref events.Reference, parts *partDigests) bool {
	if b.checksums.Ask == nil {
		return false
	}
	ctx, done := context.WithTimeout(b.checksums.Ask(ctx), b.limits.call)
	defer done()
	a, err := b.bucket.Attributes(ctx, ref.Key)
	if err != nil || a.Size != ref.Size {
		return false
	}
	whole, err := hex.DecodeString(ref.SHA256)
	if err != nil {
		return false
	}
	got := b.checksums.Answer(a)
	return got == base64.StdEncoding.EncodeToString(whole) || got == parts.composite()
}

// partDigests computes the digests of the parts in which a bucket gets an object.
type partDigests struct {
	part    hash.Hash
	size    int // bytes of the part so far
	digests bytes.Buffer
	number  int
}

func newPartDigests() *partDigests { return &partDigests{part: sha256.New()} }

// Write implements io.Writer. It never fails.
func (d *partDigests) Write(p []byte) (int, error) {
	written := len(p)
	for len(p) > 0 {
		n := min(len(p), partSize-d.size)
		d.part.Write(p[:n])
		d.size += n
		p = p[n:]
		if d.size == partSize {
			d.end()
		}
	}
	return written, nil
}

func (d *partDigests) end() {
	d.digests.Write(d.part.Sum(nil))
	d.number++
	d.part.Reset()
	d.size = 0
}

// composite is the checksum of an object that was sent in these parts. Nothing may be
// written afterwards.
func (d *partDigests) composite() string {
	if d.size > 0 {
		d.end()
	}
	sum := sha256.Sum256(d.digests.Bytes())
	return fmt.Sprintf("%s-%d", base64.StdEncoding.EncodeToString(sum[:]), d.number)
}
