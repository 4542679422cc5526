package hubpush

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/tunebus/tunebus/pipeline/huggingface/hubapi"
)

// File is a file of a push.
type File struct {
	// Path is its name in the repository, with "/" between the parts.
	Path string
	Size int64
	// SHA256 is the digest of its content, 64 lower-case hexadecimal digits.
	SHA256 string
	// Open opens the content. It is called more than once.
	Open func(ctx context.Context) (io.ReadCloser, error)
}

// Push is what is pushed, and where.
type Push struct {
	Kind hubapi.Kind
	// ID is owner/name.
	ID string
	// Private has the repository made for its owner alone, if it does not exist.
	Private bool
	// Summary is the first line of the commit's message.
	Summary string
	Files   []File
}

// Result says what the repository holds now.
type Result struct {
	// Commit holds all files of the push.
	Commit string
	// Link is the page of the repository.
	Link string
	// Unchanged is set if the repository had all files before.
	Unchanged bool
	// Public is set if everybody can read the repository.
	Public bool
	// Others are the names of files of the repository that were not pushed.
	Others []string
}

// Pusher pushes to the Hub. It may be used concurrently.
type Pusher struct {
	api *hubapi.Client
}

// New returns a pusher.
func New(api *hubapi.Client) *Pusher { return &Pusher{api: api} }

// User returns the name of the account to which the token belongs.
func (p *Pusher) User(ctx context.Context) (string, error) {
	const what = "account of the token"
	response, err := p.api.Get(ctx, hubapi.Repository{}, what, p.api.GlobalURL("whoami-v2"))
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	var account struct {
		Name string `json:"name"`
	}
	if err := p.api.Answers.Decode(response, &account); err != nil {
		return "", fmt.Errorf("%s: %w", what, err)
	}
	if _, err := hubapi.ParseRepository(hubapi.Models, account.Name+"/x", ""); err != nil {
		return "", fmt.Errorf("%s: %w", what, p.api.Answers.Nonsense("JSON that names no account"))
	}
	if p.api.Answers.Hide(account.Name) != account.Name { // it would be in the name of the repository
		return "", fmt.Errorf("%s: %w", what, p.api.Answers.Nonsense("JSON that names the token as the account"))
	}
	return account.Name, nil
}

// races is how often a push begins again because the repository changed meanwhile.
const races = 5

// Push pushes the files that the repository does not have yet.
func (p *Pusher) Push(ctx context.Context, push Push) (Result, error) {
	r, err := hubapi.ParseRepository(push.Kind, push.ID, "")
	if err != nil {
		return Result{}, err
	}
	for try := 1; ; try++ {
		result, err := p.once(ctx, r, push)
		err = p.api.Answers.HideIn(err)
		if err == nil || !errors.Is(err, hubapi.ErrConflict) || try == races {
			return result, err
		}
	}
}

// once compares, uploads and commits.
func (p *Pusher) once(ctx context.Context, r hubapi.Repository, push Push) (Result, error) {
	head, err := p.head(ctx, r, push.Private)
	if err != nil {
		return Result{}, err
	}
	there, err := p.api.Files(ctx, r, head.Commit)
	if err != nil {
		return Result{}, err
	}
	result := Result{Commit: head.Commit, Link: p.api.PageURL(r), Public: !head.Private}
	byPath := map[string]hubapi.File{}
	for _, f := range there {
		byPath[f.Path] = f
	}
	var changed []File
	for _, f := range push.Files {
		same, err := isSame(ctx, f, byPath[f.Path])
		if err != nil {
			return Result{}, fmt.Errorf("%s: %w", r, err)
		}
		if !same {
			changed = append(changed, f)
		}
		delete(byPath, f.Path)
	}
	for _, f := range there {
		if _, ok := byPath[f.Path]; ok && f.Path != ".gitattributes" {
			result.Others = append(result.Others, p.api.Answers.Hide(f.Path))
		}
	}
	if result.Unchanged = len(changed) == 0; result.Unchanged {
		return result, nil
	}
	u := uploader{api: p.api, repository: r}
	large, err := u.preupload(ctx, changed)
	if err != nil {
		return Result{}, err
	}
	if err := u.uploadLarge(ctx, changed, large); err != nil {
		return Result{}, err
	}
	result.Commit, err = u.commit(ctx, commit{parent: head.Commit, summary: push.Summary, files: changed, large: large})
	return result, err
}

// isSame reports whether a file of the repository has the content of a file.
func isSame(ctx context.Context, f File, there hubapi.File) (bool, error) {
	switch {
	case there.Path == "":
		return false, nil
	case there.LFS != nil:
		return there.LFS.OID == f.SHA256, nil
	case there.Size != f.Size:
		return false, nil
	}
	content, err := f.Open(ctx)
	if err != nil {
		return false, fmt.Errorf("%s: %w", f.Path, err)
	}
	sum := hubapi.GitHash(f.Size)
	_, err = io.Copy(sum, content)
	if err := errors.Join(err, content.Close()); err != nil {
		return false, fmt.Errorf("%s: %w", f.Path, err)
	}
	return hex.EncodeToString(sum.Sum(nil)) == there.OID, nil
}

// head returns the newest commit, and makes the repository if there is none.
func (p *Pusher) head(ctx context.Context, r hubapi.Repository, private bool) (hubapi.Head, error) {
	head, err := p.api.Head(ctx, r)
	if !errors.Is(err, hubapi.ErrNotFound) {
		return head, err
	}
	created := p.create(ctx, r, private)
	if created != nil && !errors.Is(created, hubapi.ErrConflict) {
		return hubapi.Head{}, created
	}
	head, err = p.api.Head(ctx, r)
	switch {
	case created == nil && err == nil && private && !head.Private:
		return p.hide(ctx, r)
	case created != nil && errors.Is(err, hubapi.ErrNotFound) && !strings.Contains(created.Error(), busy): // nobody made it meanwhile
		return hubapi.Head{}, fmt.Errorf("%s: %w: it is not there, and cannot be made: %w; take another name or owner, or push again later", r, hubapi.ErrRefused, created)
	case created != nil && errors.Is(err, hubapi.ErrNotFound):
		return hubapi.Head{}, created
	}
	return head, err
}

// busy is in the answer of a Hub that makes another repository of the account at the moment.
const busy = "another conflicting operation is in progress"

// hide makes a repository private that was to be made so, on a Hub that knows only the
// older form of that wish. The error is that it stays public: nothing is pushed then.
func (p *Pusher) hide(ctx context.Context, r hubapi.Repository) (hubapi.Head, error) {
	response, err := send(ctx, p.api, r, "make "+r.String()+" private", p.api.SettingsURL(r), map[string]bool{"private": true}, func(r *hubapi.Request) { r.Method = http.MethodPut })
	if err == nil {
		err = response.Body.Close()
	}
	if ctx.Err() != nil {
		return hubapi.Head{}, err
	}
	head, after := p.api.Head(ctx, r)
	if after != nil || head.Private {
		return head, after
	}
	why := ""
	if err != nil {
		why = " (" + err.Error() + ")"
	}
	return hubapi.Head{}, fmt.Errorf("%s: %w to make it private: everybody can read the repository that it made, so nothing was pushed%s; make it private on its page %s and push again, or push again as it is",
		r, hubapi.ErrRefused, why, p.api.PageURL(r))
}

// create makes a repository. The wish for its visibility is sent in the form of today's
// huggingface_hub alone, because a Hub need not take both forms.
func (p *Pusher) create(ctx context.Context, r hubapi.Repository, private bool) error {
	owner, name, _ := strings.Cut(r.ID, "/")
	body := map[string]string{"name": name, "organization": owner, "visibility": "public"}
	if private {
		body["visibility"] = "private"
	}
	if r.Kind == hubapi.Datasets {
		body["type"] = "dataset"
	}
	response, err := send(ctx, p.api, r, "make "+r.String(), p.api.GlobalURL("repos/create"), body, nil)
	if err != nil {
		return err
	}
	return response.Body.Close()
}

// send sends JSON, by POST unless change says otherwise.
func send(ctx context.Context, api *hubapi.Client, r hubapi.Repository, what, address string, body any, change func(*hubapi.Request)) (*http.Response, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	request := hubapi.Request{
		Repository: r, What: what, Method: http.MethodPost, Address: address, Size: int64(len(text)),
		Header: map[string]string{"Content-Type": "application/json"},
		Body: func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(text)), nil
		},
	}
	if change != nil {
		change(&request)
	}
	return api.Do(ctx, request)
}
