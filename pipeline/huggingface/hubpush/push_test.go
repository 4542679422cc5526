package hubpush_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tunebus/tunebus/pipeline/huggingface/hubapi"
	"github.com/tunebus/tunebus/pipeline/huggingface/hubpush"
	"github.com/tunebus/tunebus/pipeline/huggingface/hubtest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
}

const id = "someone/run-1"

func file(path, text string) hubpush.File {
	sum := sha256.Sum256([]byte(text))
	return hubpush.File{Path: path, Size: int64(len(text)), SHA256: hex.EncodeToString(sum[:]), Open: func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(text)), nil
	}}
}

func weights() string { return strings.Repeat("weights ", 1000) }

func push() hubpush.Push {
	return hubpush.Push{Kind: hubapi.Models, ID: id, Private: true, Summary: "tunebus run r1", Files: []hubpush.File{
		file("README.md", "---\n---\n# card\n"), file("adapter_config.json", "{}"), file("adapter_model.safetensors", weights()), file("empty.txt", ""),
	}}
}

func pusher(t *testing.T, hub *hubtest.Server, change func(*hubapi.Options)) *hubpush.Pusher {
	t.Helper()
	options := hubapi.Options{Endpoint: hub.URL, Token: hubtest.Token, Tries: 3, Backoff: time.Millisecond}
	if change != nil {
		change(&options)
	}
	client, err := hubapi.New(options)
	if err != nil {
		t.Fatal(err)
	}
	return hubpush.New(client)
}

// check compares the repository with what was pushed.
func check(t *testing.T, hub *hubtest.Server, commits int) {
	t.Helper()
	files := hub.Files(hubapi.Models, id)
	for _, f := range push().Files {
		sum := sha256.Sum256([]byte(files[f.Path]))
		if _, ok := files[f.Path]; !ok || hex.EncodeToString(sum[:]) != f.SHA256 {
			t.Errorf("%s has %d bytes", f.Path, len(files[f.Path]))
		}
	}
	if got := hub.Commits(hubapi.Models, id); got != commits {
		t.Errorf("%d commits, want %d", got, commits)
	}
	if leaked := hub.Leaked(); len(leaked) > 0 {
		t.Errorf("the token went to the storage: %v", leaked)
	}
}

// TestPush: a push makes a private repository with all files in one commit, large ones
// whole or in parts; repeated, it makes none.
func TestPush(t *testing.T) {
	t.Parallel()
	for name, part := range map[string]int64{"whole": 0, "parts": 3000} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hub := hubtest.New(t)
			hub.Part = part
			p := pusher(t, hub, nil)
			first, err := p.Push(t.Context(), push())
			if err != nil {
				t.Fatal(err)
			}
			check(t, hub, 1)
			if first.Unchanged || first.Public || first.Link != hub.URL+"/"+id || !hubapi.IsCommit(first.Commit) || !hub.Private(hubapi.Models, id) {
				t.Errorf("%+v", first)
			}
			again, err := p.Push(t.Context(), push())
			if err != nil || !again.Unchanged || again.Commit != first.Commit {
				t.Errorf("again: %+v, %v", again, err)
			}
			check(t, hub, 1)
			if user, err := p.User(t.Context()); err != nil || user != hubtest.User {
				t.Errorf("%q, %v", user, err)
			}
		})
	}
}

// TestPrivate: a Hub that knows only the older form of the wish for a private repository
// makes one all the same; into one that it makes public nothing is pushed.
func TestPrivate(t *testing.T) {
	t.Parallel()
	for name, heeds := range map[string]bool{"older": true, "does not heed it": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hub := hubtest.New(t)
			hub.Older = true
			hub.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
				if heeds || !strings.HasSuffix(r.URL.Path, "/settings") {
					return false
				}
				http.Error(w, `{"error": "no such setting"}`, http.StatusBadRequest)
				return true
			})
			result, err := pusher(t, hub, nil).Push(t.Context(), push())
			if heeds {
				if err != nil || result.Public || !hub.Private(hubapi.Models, id) {
					t.Errorf("%+v, %v", result, err)
				}
				check(t, hub, 1)
				return
			}
			if !errors.Is(err, hubapi.ErrRefused) || !strings.Contains(err.Error(), "so nothing was pushed") || !strings.Contains(err.Error(), `"no such setting"`) {
				t.Errorf("%v", err)
			}
			if n := hub.Commits(hubapi.Models, id); n != 0 {
				t.Errorf("%d commits", n)
			}
		})
	}
}

// TestBusyHub: a Hub that makes another repository of the account is asked again.
func TestBusyHub(t *testing.T) {
	t.Parallel()
	hub := hubtest.New(t)
	var asked atomic.Int32
	hub.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/api/repos/create" || asked.Add(1) > 1 {
			return false
		}
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusConflict)
		_, _ = io.WriteString(w, `{"error": "Cannot create repo: another conflicting operation is in progress"}`)
		return true
	})
	if _, err := pusher(t, hub, nil).Push(t.Context(), push()); err != nil {
		t.Fatal(err)
	}
	check(t, hub, 1)
}

// TestPushData: data sets have paths of their own.
func TestPushData(t *testing.T) {
	t.Parallel()
	hub := hubtest.New(t)
	hub.Put(hubapi.Datasets, "team/rows", false, map[string]string{"of a person.txt": "x", "rows.jsonl": "old"})
	result, err := pusher(t, hub, nil).Push(t.Context(), hubpush.Push{
		Kind: hubapi.Datasets, ID: "team/rows", Private: true, Files: []hubpush.File{file("rows.jsonl", weights())},
	})
	if err != nil || result.Link != hub.URL+"/datasets/team/rows" || !result.Public || !slices.Equal(result.Others, []string{"of a person.txt"}) {
		t.Errorf("%+v, %v", result, err)
	}
	if files := hub.Files(hubapi.Datasets, "team/rows"); files["rows.jsonl"] != weights() || files["of a person.txt"] != "x" {
		t.Errorf("%d files", len(files))
	}
}

// TestRefusals: each answer of the Hub is a sentence with what to do, and of the right
// class; the token is in none.
func TestRefusals(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		path   string
		status int
		says   string
		class  error
	}{
		"bad token":           {"/api/repos/create", http.StatusUnauthorized, "make one with write access at ", hubapi.ErrRefused},
		"may not make it":     {"/api/repos/create", http.StatusForbidden, `the Hub refuses: status 403 ("so says the Hub to POST"); where the token is the reason, give one`, hubapi.ErrRefused},
		"may not write":       {"/commit/", http.StatusForbidden, `the Hub refuses: status 403 ("so says the Hub to POST"); where`, hubapi.ErrRefused},
		"busy":                {"/preupload/", http.StatusTooManyRequests, `answers with status 429 ("so says the Hub to POST")`, hubapi.ErrUnreachable},
		"broken":              {"/objects/batch", http.StatusBadGateway, "upload to model someone/run-1: the Hub at 127.0.0.1:", hubapi.ErrUnreachable},
		"storage is down":     {"/storage/", http.StatusServiceUnavailable, "adapter_model.safetensors: the storage of the Hub at 127.0.0.1:", hubapi.ErrUnreachable},
		"storage refuses":     {"/storage/", http.StatusForbidden, "the Hub refuses: its storage does not take the file: status 403", hubapi.ErrRefused},
		"renamed":             {"/preupload/", http.StatusTemporaryRedirect, "renamed", hubapi.ErrRefused},
		"conflict for ever":   {"/commit/", http.StatusConflict, "conflict", hubapi.ErrConflict},
		"name is taken":       {"/api/repos/create", http.StatusConflict, `it is not there, and cannot be made: make model someone/run-1: the Hub reports a conflict: status 409 ("so says the Hub to POST")`, hubapi.ErrRefused},
		"refused by the Hub":  {"/commit/", http.StatusBadRequest, "says the Hub", hubapi.ErrRefused},
		"account not visible": {"/api/models/" + id + "/revision/main", http.StatusForbidden, "check HF_TOKEN", hubapi.ErrRefused},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hub := hubtest.New(t)
			hub.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.Contains(r.URL.Path, c.path) {
					return false
				}
				_, _ = io.Copy(io.Discard, r.Body)
				w.Header().Set("X-Error-Message", "so says the Hub\nto "+r.Method)
				w.WriteHeader(c.status)
				return true
			})
			var log bytes.Buffer
			_, err := pusher(t, hub, func(o *hubapi.Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) }).Push(t.Context(), push())
			if err == nil || !strings.Contains(err.Error(), c.says) || !errors.Is(err, c.class) {
				t.Errorf("%v, want %q", err, c.says)
			}
			if err != nil && strings.ContainsAny(err.Error(), "\n") || strings.Contains(log.String(), hubtest.Token) || strings.Contains(err.Error(), hubtest.Token) {
				t.Errorf("%q\n%s", err, log.String())
			}
			if n := hub.Commits(hubapi.Models, id); n > 0 {
				t.Errorf("%d commits", n)
			}
		})
	}
}

// TestTokenInAnswers: a Hub, or something between, that repeats the token it was sent
// gets it into no error, no log and no result.
func TestTokenInAnswers(t *testing.T) {
	t.Parallel()
	paths := []string{"/whoami-v2", "/repos/create", "/revision/", "/tree/", "/preupload/", "/objects/batch", "/storage/", "/commit/"}
	for name, answer := range map[string]func(w http.ResponseWriter){
		"refusal": func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `{"error": "not with Bearer `+hubtest.Token+`"}`)
		},
		"server error": func(w http.ResponseWriter) {
			w.Header().Set("X-Error-Message", "Authorization: Bearer "+hubtest.Token)
			w.WriteHeader(http.StatusInternalServerError)
		},
		"bad request": func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"message": "`+hubtest.Token+`"}`)
		},
		"page": func(w http.ResponseWriter) { _, _ = io.WriteString(w, "<title>"+hubtest.Token+"</title>") },
		"text": func(w http.ResponseWriter) { _, _ = io.WriteString(w, "Bearer "+hubtest.Token) },
		"names": func(w http.ResponseWriter) {
			_, _ = io.WriteString(w, `{"name": "`+hubtest.Token+`", "sha": "`+hubtest.Token+`"}`)
		},
		"object": func(w http.ResponseWriter) {
			_, _ = io.WriteString(w, `{"objects": [{"oid": "`+push().Files[2].SHA256+`", "error": {"code": 422, "message": "`+hubtest.Token+`"}}]}`)
		},
		"file": func(w http.ResponseWriter) {
			_, _ = io.WriteString(w, `[{"type": "file", "path": "../`+hubtest.Token+`"}]`)
		},
		"header": func(w http.ResponseWriter) {
			if c, _, err := w.(http.Hijacker).Hijack(); err == nil {
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n"+hubtest.Token+"\r\n\r\n")
				_ = c.Close()
			}
		},
	} {
		for _, path := range paths {
			t.Run(name+path, func(t *testing.T) {
				t.Parallel()
				hub := hubtest.New(t)
				hub.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
					if !strings.Contains(r.URL.Path, path) {
						return false
					}
					_, _ = io.Copy(io.Discard, r.Body)
					answer(w)
					return true
				})
				var log bytes.Buffer
				p := pusher(t, hub, func(o *hubapi.Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
				result, err := p.Push(t.Context(), push())
				user, userErr := p.User(t.Context())
				if text := fmt.Sprint(result, err, user, userErr, log.String()); strings.Contains(text, hubtest.Token) {
					t.Errorf("the token is in %s", text)
				}
			})
		}
	}
}

// TestNonsense: an answer that is none of the Hub is said as it is, and is neither a
// refusal nor a Hub that cannot be reached. Nothing is committed then.
func TestNonsense(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ path, body, says string }{
		"page":             {"/revision/", "<html><title>Log in\x1b[2J to\nthe network</title>", `but a web page ("Log in [2J to the network")`},
		"page for a list":  {"/tree/", "<html>", "but a web page; check the address of the Hub (HF_ENDPOINT)"},
		"object":           {"/tree/", `{"error": "no"}`, `but JSON of another form ("{"error": "no"}")`},
		"nothing":          {"/preupload/", "", "but nothing; "},
		"text":             {"/objects/batch", "come back later", `but a text that is no JSON ("come back later")`},
		"no commit":        {"/commit/", "{}", "but JSON that names no commit"},
		"no head":          {"/revision/", "{}", "but JSON that names no commit"},
		"no upload":        {"/objects/batch", `{"objects": []}`, "adapter_model.safetensors: the answer is not one of the Hub at "},
		"upload of others": {"/objects/batch", `{"objects": [{"oid": "` + push().Files[0].SHA256 + `"}]}`, "but a list of uploads that leaves this file out"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hub := hubtest.New(t)
			hub.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.Contains(r.URL.Path, c.path) {
					return false
				}
				_, _ = io.Copy(io.Discard, r.Body)
				_, _ = io.WriteString(w, c.body)
				return true
			})
			_, err := pusher(t, hub, nil).Push(t.Context(), push())
			if !errors.Is(err, hubapi.ErrNonsense) || errors.Is(err, hubapi.ErrUnreachable) || errors.Is(err, hubapi.ErrRefused) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want %q", err, c.says)
			}
			if n := hub.Commits(hubapi.Models, id); n > 0 {
				t.Errorf("%d commits", n)
			}
		})
	}
	for _, name := range []string{"../../evil", "a b", "", "a/b", `x\u001b[2J`} {
		hub := hubtest.New(t)
		hub.Intercept(func(w http.ResponseWriter, _ *http.Request) bool {
			_, _ = io.WriteString(w, `{"name": "`+name+`"}`)
			return true
		})
		user, err := pusher(t, hub, nil).User(t.Context())
		if !errors.Is(err, hubapi.ErrNonsense) || !strings.Contains(err.Error(), "but JSON that names no account") || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%q: %q, %v", name, user, err)
		}
	}
}

// TestFaultsOnTheWay: a push survives answers that fail for a while, uploads that are
// cut in the middle, an answer to the commit that got lost, and a repository that
// changes meanwhile; each makes one commit.
func TestFaultsOnTheWay(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(hub *hubtest.Server, w http.ResponseWriter, r *http.Request) (handled bool){
		"every first request fails": func(_ *hubtest.Server, w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		},
		"the upload is cut": func(_ *hubtest.Server, w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPut {
				return false
			}
			_, _ = io.CopyN(io.Discard, r.Body, 100)
			cut(w)
			return true
		},
		"the address of the upload ran out": func(_ *hubtest.Server, w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPut {
				return false
			}
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(http.StatusForbidden)
			return true
		},
		"the answer to the commit is lost": func(hub *hubtest.Server, w http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.Path, "/commit/") {
				return false
			}
			hub.Pass(r)
			cut(w)
			return true
		},
		"somebody else commits": func(hub *hubtest.Server, _ http.ResponseWriter, r *http.Request) bool {
			if strings.Contains(r.URL.Path, "/commit/") {
				hub.Put(hubapi.Models, id, true, map[string]string{"note.txt": "of somebody else"})
			}
			return false
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hub := hubtest.New(t)
			var mu sync.Mutex
			seen := map[string]bool{}
			hub.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
				mu.Lock()
				first := !seen[r.Method+r.URL.Path]
				seen[r.Method+r.URL.Path] = true
				mu.Unlock()
				return first && fault(hub, w, r)
			})
			if _, err := pusher(t, hub, nil).Push(t.Context(), push()); err != nil {
				t.Fatal(err)
			}
			check(t, hub, 1)
		})
	}
}

// cut breaks the connection off.
func cut(w http.ResponseWriter) {
	if c, _, err := w.(http.Hijacker).Hijack(); err == nil {
		_ = c.Close()
	}
}

// TestTwoPushers: processes that push the same at the same time make one commit.
func TestTwoPushers(t *testing.T) {
	t.Parallel()
	hub := hubtest.New(t)
	var all sync.WaitGroup
	for range 4 {
		p := pusher(t, hub, nil)
		all.Go(func() {
			if _, err := p.Push(t.Context(), push()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	check(t, hub, 1)
}

// TestAnswersAreNotTrusted: what the Hub names is checked before it is used.
func TestAnswersAreNotTrusted(t *testing.T) {
	t.Parallel()
	batch := func(action string) string {
		return `{"objects": [{"oid": "` + push().Files[2].SHA256 + `", "size": 8000, "actions": {"upload": ` + action + `}}]}`
	}
	for name, c := range map[string]struct{ path, body string }{
		"no address":          {"/objects/batch", batch(`{"href": "file:///etc/passwd"}`)},
		"no host":             {"/objects/batch", batch(`{"href": "/storage"}`)},
		"parts of no size":    {"/objects/batch", batch(`{"href": "http://x/", "header": {"chunk_size": "0"}}`)},
		"parts without end":   {"/objects/batch", batch(`{"href": "http://x/", "header": {"chunk_size": 1}}`)},
		"missing parts":       {"/objects/batch", batch(`{"href": "http://x/", "header": {"chunk_size": "3000", "1": "http://x/1"}}`)},
		"no commit":           {"/commit/", `{"commitOid": "../../x"}`},
		"no JSON":             {"/preupload/", `<html>`},
		"a commit of a path":  {"/revision/", `{"sha": "../../../etc"}`},
		"a file out of reach": {"/tree/", `[{"type": "file", "path": "../x", "size": 1, "oid": "0123456789abcdef0123456789abcdef01234567"}]`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hub := hubtest.New(t)
			hub.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.Contains(r.URL.Path, c.path) {
					return false
				}
				_, _ = io.Copy(io.Discard, r.Body)
				_, _ = io.WriteString(w, c.body)
				return true
			})
			if result, err := pusher(t, hub, nil).Push(t.Context(), push()); err == nil {
				t.Errorf("%+v", result)
			}
		})
	}
	if _, err := pusher(t, hubtest.New(t), nil).Push(t.Context(), hubpush.Push{Kind: hubapi.Models, ID: "../../api"}); err == nil {
		t.Error("a path is taken for an id")
	}
}

// TestStalledUploadEnds: an upload that the storage does not take is broken off.
func TestStalledUploadEnds(t *testing.T) {
	t.Parallel()
	hub := hubtest.New(t)
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	hub.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut {
			return false
		}
		cutLater(w, release)
		return true
	})
	big := push()
	big.Files = []hubpush.File{file("model.safetensors", strings.Repeat("weights ", 8<<20/8*4))} // more than the buffers of a connection hold
	var opened atomic.Int64
	open := big.Files[0].Open
	big.Files[0].Open = func(ctx context.Context) (io.ReadCloser, error) {
		opened.Add(1)
		return open(ctx)
	}
	_, err := pusher(t, hub, func(o *hubapi.Options) { o.Tries, o.IdleTimeout = 1, 200*time.Millisecond }).Push(t.Context(), big)
	if !errors.Is(err, hubapi.ErrUnreachable) {
		t.Errorf("%v", err)
	}
}

// cutLater reads nothing, and keeps the connection until the test ends.
func cutLater(w http.ResponseWriter, release chan struct{}) {
	c, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	<-release
	_ = c.Close()
}

// TestUnreadableContent: a file that cannot be read here is an error about that file,
// not about the Hub.
func TestUnreadableContent(t *testing.T) {
	t.Parallel()
	hub := hubtest.New(t)
	broken := push()
	broken.Files[2].Open = func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(strings.NewReader("weights"), failing{})), nil
	}
	_, err := pusher(t, hub, nil).Push(t.Context(), broken)
	if err == nil || !strings.Contains(err.Error(), "the disk is gone") || errors.Is(err, hubapi.ErrUnreachable) {
		t.Errorf("%v", err)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("the disk is gone") }
