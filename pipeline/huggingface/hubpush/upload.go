package hubpush

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/tunebus/tunebus/pipeline/huggingface/hubapi"
)

const (
	// maxBatch is how many files one request is about, as huggingface_hub has it.
	maxBatch = 256
	// sampleBytes is how much of a file the Hub gets to see before it decides.
	sampleBytes = 512
	// maxRegular is the largest file that goes into a commit itself.
	maxRegular = 10 << 20
	// maxParts bounds the parts in which a file is uploaded.
	maxParts = 10_000
	// lfsType is the media type of the requests about large files.
	lfsType = "application/vnd.git-lfs+json"
)

// uploader uploads the contents of a push.
type uploader struct {
	api        *hubapi.Client
	repository hubapi.Repository
}

func (u uploader) what(f File) string { return u.repository.String() + ": " + f.Path }

// batches cuts files into lists of at most [maxBatch].
func batches(files []File) [][]File {
	var out [][]File
	for len(files) > maxBatch {
		out, files = append(out, files[:maxBatch]), files[maxBatch:]
	}
	return append(out, files)
}

// preupload asks the Hub which files go to its large storage.
func (u uploader) preupload(ctx context.Context, files []File) (map[string]bool, error) {
	large := map[string]bool{}
	for _, batch := range batches(files) {
		if err := u.preuploadBatch(ctx, batch, large); err != nil {
			return nil, err
		}
	}
	return large, nil
}

func (u uploader) preuploadBatch(ctx context.Context, batch []File, large map[string]bool) error {
	type entry struct {
		Path   string `json:"path"`
		Sample string `json:"sample"`
		Size   int64  `json:"size"`
	}
	var body struct {
		Files []entry `json:"files"`
	}
	for _, f := range batch {
		sample, err := sampleOf(ctx, f)
		if err != nil {
			return fmt.Errorf("%s: %w", u.what(f), err)
		}
		body.Files = append(body.Files, entry{f.Path, base64.StdEncoding.EncodeToString(sample), f.Size})
		large[f.Path] = f.Size > maxRegular
	}
	what := "push to " + u.repository.String()
	response, err := send(ctx, u.api, u.repository, what, u.api.APIURL(u.repository, "preupload", u.repository.Revision), body, nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var answer struct {
		Files []struct {
			Path string `json:"path"`
			Mode string `json:"uploadMode"`
		} `json:"files"`
	}
	if err := u.api.Answers.Decode(response, &answer); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	for _, f := range answer.Files {
		if _, ours := large[f.Path]; ours && f.Mode == "lfs" {
			large[f.Path] = true
		}
	}
	return nil
}

// sampleOf returns the first bytes of a file.
func sampleOf(ctx context.Context, f File) ([]byte, error) {
	content, err := f.Open(ctx)
	if err != nil {
		return nil, err
	}
	sample, err := io.ReadAll(io.LimitReader(content, sampleBytes))
	return sample, errors.Join(err, content.Close())
}

// action is an address to which the Hub sends an upload.
type action struct {
	Href   string         `json:"href"`
	Header map[string]any `json:"header"`
}

// object is what the Hub says about a large file.
type object struct {
	OID     string `json:"oid"`
	Actions struct {
		Upload *action `json:"upload"`
		Verify *action `json:"verify"`
	} `json:"actions"`
	Error *struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

// uploadLarge uploads the large files that the Hub does not have, one after the other.
func (u uploader) uploadLarge(ctx context.Context, files []File, large map[string]bool) error {
	seen := map[string]bool{}
	var wanted []File
	for _, f := range files {
		if large[f.Path] && !seen[f.SHA256] {
			seen[f.SHA256] = true
			wanted = append(wanted, f)
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	for _, batch := range batches(wanted) {
		objects, err := u.batch(ctx, batch)
		if err != nil {
			return err
		}
		for _, f := range batch {
			err := u.uploadOne(ctx, f, objects[f.SHA256])
			if errors.Is(err, hubapi.ErrStorage) { // the address ran out meanwhile, or the file is refused
				err = u.uploadAgain(ctx, f)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// uploadOne uploads a file, unless the Hub has it.
func (u uploader) uploadOne(ctx context.Context, f File, o object) error {
	switch {
	case o.Error != nil:
		return fmt.Errorf("%s: %w: it does not take the file: %.300s (%d)", u.what(f), hubapi.ErrRefused, u.api.Answers.Hide(o.Error.Message), o.Error.Code)
	case o.Actions.Upload == nil:
		return nil
	}
	return u.upload(ctx, f, o)
}

// uploadAgain uploads a file to an address that was just made.
func (u uploader) uploadAgain(ctx context.Context, f File) error {
	objects, err := u.batch(ctx, []File{f})
	if err != nil {
		return err
	}
	return u.uploadOne(ctx, f, objects[f.SHA256])
}

// batch asks where the files go, and returns the answers by their digests. Each file has
// one.
func (u uploader) batch(ctx context.Context, files []File) (map[string]object, error) {
	type pointer struct {
		OID  string `json:"oid"`
		Size int64  `json:"size"`
	}
	objects := make([]pointer, len(files))
	for i, f := range files {
		objects[i] = pointer{f.SHA256, f.Size}
	}
	what := "upload to " + u.repository.String()
	response, err := send(ctx, u.api, u.repository, what, u.api.LFSURL(u.repository), map[string]any{
		"operation": "upload", "transfers": []string{"basic", "multipart"}, "objects": objects, "hash_algo": "sha256",
		"ref": map[string]string{"name": u.repository.Revision},
	}, func(r *hubapi.Request) { r.Header["Accept"], r.Header["Content-Type"] = lfsType, lfsType })
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var answer struct {
		Objects []object `json:"objects"`
	}
	if err := u.api.Answers.Decode(response, &answer); err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	byDigest := map[string]object{}
	for _, o := range answer.Objects {
		byDigest[o.OID] = o
	}
	for _, f := range files { // one that is not named is not known to be there
		if _, named := byDigest[f.SHA256]; !named {
			return nil, fmt.Errorf("%s: %w", u.what(f), u.api.Answers.Nonsense("a list of uploads that leaves this file out"))
		}
	}
	return byDigest, nil
}

// upload uploads a file whole or in parts, and has the Hub verify it.
func (u uploader) upload(ctx context.Context, f File, o object) error {
	var err error
	if chunk, ok := o.Actions.Upload.Header["chunk_size"]; ok {
		err = u.parts(ctx, f, *o.Actions.Upload, fmt.Sprint(chunk))
	} else {
		_, err = u.put(ctx, f, o.Actions.Upload.Href, 0, f.Size)
	}
	if err != nil || o.Actions.Verify == nil {
		return err
	}
	address, err := u.address(f, o.Actions.Verify.Href)
	if err != nil {
		return err
	}
	response, err := send(ctx, u.api, u.repository, u.what(f), address, map[string]any{"oid": f.SHA256, "size": f.Size}, nil)
	if err != nil {
		return err
	}
	return response.Body.Close()
}

// parts uploads a file in parts, and then says that they are all there.
func (u uploader) parts(ctx context.Context, f File, to action, size string) error {
	malformed := fmt.Errorf("%s: %w: the Hub names parts that do not fit the file", u.what(f), hubapi.ErrBroken)
	chunk, err := strconv.ParseInt(size, 10, 64)
	if err != nil || chunk <= 0 || f.Size == 0 {
		return malformed
	}
	n := (f.Size-1)/chunk + 1
	if n > maxParts {
		return malformed
	}
	addresses := map[int64]string{}
	for name, value := range to.Header {
		number, err := strconv.ParseInt(name, 10, 64)
		if address, isText := value.(string); err == nil && isText {
			addresses[number] = address
		}
	}
	type part struct {
		Number int64  `json:"partNumber"`
		ETag   string `json:"etag"`
	}
	var done struct {
		OID   string `json:"oid"`
		Parts []part `json:"parts"`
	}
	done.OID = f.SHA256
	for i := range n {
		address, ok := addresses[i+1]
		if !ok || int64(len(addresses)) != n {
			return malformed
		}
		from := i * chunk
		etag, err := u.put(ctx, f, address, from, min(chunk, f.Size-from))
		if err != nil {
			return err
		}
		if etag == "" {
			return fmt.Errorf("%s: %w: the storage does not name part %d", u.what(f), hubapi.ErrBroken, i+1)
		}
		done.Parts = append(done.Parts, part{i + 1, etag})
	}
	address, err := u.address(f, to.Href)
	if err != nil {
		return err
	}
	response, err := send(ctx, u.api, u.repository, u.what(f), address, done, func(r *hubapi.Request) {
		r.Plain, r.Header["Accept"], r.Header["Content-Type"] = true, lfsType, lfsType
	})
	if err != nil {
		return err
	}
	return response.Body.Close()
}

// put uploads a part of a file to an address of the storage, which gets no token. It
// returns the ETag of the part.
func (u uploader) put(ctx context.Context, f File, href string, from, size int64) (etag string, err error) {
	address, err := u.address(f, href)
	if err != nil {
		return "", err
	}
	response, err := u.api.Do(ctx, hubapi.Request{
		Repository: u.repository, What: u.what(f), Method: http.MethodPut, Address: address, Plain: true, Size: size,
		Body: func(ctx context.Context) (io.ReadCloser, error) { return section(ctx, f, from, size) },
	})
	if err != nil {
		return "", err
	}
	return response.Header.Get("ETag"), response.Body.Close()
}

// address checks an address that the Hub named. One without TLS is taken only from a
// Hub without TLS.
func (u uploader) address(f File, href string) (string, error) {
	a, err := url.Parse(href)
	if err != nil || a.Host == "" || a.Scheme != "https" && (a.Scheme != "http" || u.api.Secure()) {
		return "", fmt.Errorf("%s: %w: the Hub names an address for the upload that is none", u.what(f), hubapi.ErrBroken)
	}
	return href, nil
}

// section opens a part of a file.
func section(ctx context.Context, f File, from, size int64) (io.ReadCloser, error) {
	content, err := f.Open(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := io.CopyN(io.Discard, content, from); err != nil {
		return nil, errors.Join(fmt.Errorf("%s ends after less than %d bytes: %w", f.Path, from, err), content.Close())
	}
	if from+size == f.Size { // read to the end, where its digest is compared
		return content, nil
	}
	return limited{io.LimitReader(content, size), content}, nil
}

type limited struct {
	io.Reader
	io.Closer
}
