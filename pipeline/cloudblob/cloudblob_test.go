package cloudblob_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/artifact/artifacttest"
	_ "github.com/tunebus/tunebus/pipeline/cloudblob"
	"github.com/tunebus/tunebus/pipeline/cloudblob/s3test"
)

// TestMain gives the tests only the credentials of their own server, and none
// of the user or the machine.
func TestMain(m *testing.M) {
	home, err := os.MkdirTemp("", "tunebus-cloudblob-")
	if err != nil {
		panic(err)
	}
	os.Clearenv()
	for name, value := range map[string]string{
		"HOME":                      home,
		"AWS_ACCESS_KEY_ID":         s3test.AccessKey,
		"AWS_SECRET_ACCESS_KEY":     s3test.SecretKey,
		"AWS_EC2_METADATA_DISABLED": "true",
	} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	status := m.Run()
	if err := os.RemoveAll(home); err != nil {
		panic(err)
	}
	os.Exit(status)
}

func TestS3Backend(t *testing.T) {
	t.Parallel()
	server := s3test.New(t)
	var buckets atomic.Int64
	artifacttest.TestBackend(t, func(t *testing.T) artifact.Backend {
		b, err := artifact.Buckets.OpenBucket(t.Context(), server.Address(fmt.Sprintf("bucket-%d", buckets.Add(1))))
		if err != nil {
			t.Fatal(err)
		}
		return artifact.BucketBackend(b)
	})
}

// TestS3MultipartUpload stores an artifact of more than one part.
func TestS3MultipartUpload(t *testing.T) {
	t.Parallel()
	server := s3test.New(t)
	s := open(t, server.Address("models"))
	content := bytes.Repeat([]byte("0123456789abcdef"), 17<<16) // 17 MiB
	ref, err := s.Put(t.Context(), "runs/r1/finetune/1/model", "application/octet-stream", bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Get(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes came back, %v; want %d", len(got), err, len(content))
	}
	if _, err := s.Put(t.Context(), ref.Key, ref.MediaType, bytes.NewReader(content[1:])); !errors.Is(err, artifact.ErrExists) {
		t.Errorf("other content under the key: %v, want ErrExists", err)
	}
	broken := errors.New("broken")
	half := io.MultiReader(bytes.NewReader(content), iotest.ErrReader(broken))
	if _, err := s.Put(t.Context(), "runs/r1/finetune/2/model", "application/octet-stream", half); !errors.Is(err, broken) {
		t.Errorf("a reader that breaks: %v", err)
	}
	if n := server.OpenUploads(); n != 0 {
		t.Errorf("%d multipart uploads are left", n)
	}
	if again := open(t, server.Address("models")); again.ID() != s.ID() {
		t.Errorf("opened again, the store has id %q, not %q", again.ID(), s.ID())
	}
	if other := open(t, server.Address("models")+"&prefix=team/"); other.ID() == s.ID() {
		t.Error("a store below a prefix has the id of the bucket's")
	}
}

func open(t *testing.T, address string) *artifact.Store {
	t.Helper()
	s, err := artifact.Open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// TestWithoutCredentials does not run in parallel: it changes the environment.
func TestWithoutCredentials(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	for address, want := range map[string]string{
		"s3://models?region=eu-central-1": "open artifact store s3://models: no credentials in AWS_ACCESS_KEY_ID",
		"gs://models":                     "open artifact store gs://models: no credentials in GOOGLE_APPLICATION_CREDENTIALS",
		"azblob://models":                 "the account is AZURE_STORAGE_ACCOUNT",
		"http://models":                   `no driver for "http"; it has: azblob, gs, s3, file`,
	} {
		if _, err := artifact.Open(t.Context(), address); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("open %s: %v, want %q", address, err, want)
		}
	}
}

// TestRefusedCredentials: the error names the cause and contains no secret.
func TestRefusedCredentials(t *testing.T) {
	server := s3test.New(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDSOMEBODY")
	for _, more := range []string{"", "&anonymous=true"} {
		_, err := artifact.Open(t.Context(), server.Address("models")+more)
		if err == nil || !strings.Contains(err.Error(), "InvalidAccessKeyId") || strings.Contains(err.Error(), s3test.SecretKey) {
			t.Errorf("open%s: %v", more, err)
		}
	}
}

// TestS3Checksums: an object is read back only if S3 does not tell its SHA-256, or
// tells another one; what is damaged on the way is found.
func TestS3Checksums(t *testing.T) {
	for name, size := range map[string]int{"empty": 0, "in one piece": 9 << 20, "in parts": 17 << 20} {
		content := bytes.Repeat([]byte("0123456789abcdef"), size/16)
		for _, c := range []struct {
			name, calculation string
			damage            func(string, []byte) []byte
			reads             int
			corrupt           bool
		}{
			{name: "told"},
			{name: "none", calculation: "when_required", reads: 1},
			{name: "told, but shorter", damage: func(_ string, b []byte) []byte { return b[:len(b)/2] }, reads: 1, corrupt: size > 0},
			{name: "none, other content", calculation: "when_required", damage: func(_ string, b []byte) []byte { return bytes.ToUpper(b) }, reads: 1, corrupt: size > 0},
		} {
			t.Run(name+", "+c.name, func(t *testing.T) {
				if c.calculation != "" {
					t.Setenv("AWS_REQUEST_CHECKSUM_CALCULATION", c.calculation)
				}
				server := s3test.New(t)
				s := open(t, server.Address("models"))
				server.Damage(c.damage)
				const key = "runs/r1/finetune/1/model"
				_, err := s.Put(t.Context(), key, "application/octet-stream", bytes.NewReader(content))
				_, corrupt := errors.AsType[*artifact.CorruptError](err)
				if corrupt != c.corrupt || err != nil && !corrupt {
					t.Errorf("put: %v", err)
				}
				if reads := server.Requests(http.MethodGet, "models/"+key); size > 0 && reads != c.reads {
					t.Errorf("it was read back %d times, want %d", reads, c.reads)
				}
			})
		}
	}
}
