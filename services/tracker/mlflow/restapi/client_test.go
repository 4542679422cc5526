package restapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tunebus/tunebus/services/tracker/mlflow"
	"github.com/tunebus/tunebus/services/tracker/mlflow/mlflowtest"
)

// transport is a RoundTripper made of a function.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func openREST(t *testing.T, base string, opt Options) *Target {
	t.Helper()
	opt.Backoff = time.Millisecond
	if opt.Tries == 0 {
		opt.Tries = 3
	}
	address, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	target, err := Open(address, opt)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

// serve runs a server with this handler until the test ends.
func serve(t *testing.T, handle http.HandlerFunc) string {
	t.Helper()
	web := httptest.NewServer(handle)
	t.Cleanup(web.Close)
	return web.URL
}

// TestNotMLflow: what answers with a page in the place of MLflow's JSON is named, with the setting to look
// at. A login may be passed later, so that waiting may help.
func TestNotMLflow(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		"<!DOCTYPE html><html></html>": "the answer is an HTML page, which MLflow's API never gives",
		"It works!":                    "the answer is a text that is no JSON, which MLflow's API never gives",
	} {
		base := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) })
		_, err := openREST(t, base, Options{Tries: 1}).EnsureExperiment(t.Context(), "x")
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "check tracking_uri") || !errors.Is(err, mlflow.ErrUnavailable) {
			t.Errorf("%q: %v", body, err)
		}
	}
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		opt  Options
		want string
	}{
		"none":  {Options{}, ""},
		"basic": {Options{Username: "ada", Password: "s3cret"}, "Basic YWRhOnMzY3JldA=="},
		"token": {Options{Username: "ada", Password: "s3cret", Token: "t0ken"}, "Bearer t0ken"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got atomic.Value
			base := serve(t, func(w http.ResponseWriter, r *http.Request) {
				got.Store(r.Header.Get("Authorization"))
				w.WriteHeader(http.StatusUnauthorized)
				_, _ = io.WriteString(w, "<html>"+r.Header.Get("Authorization")+"</html>")
			})
			_, err := openREST(t, base, test.opt).EnsureExperiment(t.Context(), "x")
			if got.Load() != test.want {
				t.Errorf("authorization %q", got.Load())
			}
			var refused *APIError
			if !errors.As(err, &refused) || refused.Status != http.StatusUnauthorized || errors.Is(err, mlflow.ErrUnavailable) {
				t.Fatalf("error %v", err)
			}
			for _, secret := range []string{"s3cret", "t0ken", "YWRh", "html", "http://"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("error with %q: %v", secret, err)
				}
			}
		})
	}
}

// A redirect would lead the credential to another host.
func TestNoRedirectIsFollowed(t *testing.T) {
	t.Parallel()
	var reached atomic.Bool
	other := serve(t, func(http.ResponseWriter, *http.Request) { reached.Store(true) })
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other+r.URL.Path, http.StatusTemporaryRedirect)
	})
	_, err := openREST(t, base, Options{Token: "t"}).EnsureExperiment(t.Context(), "x")
	if err == nil || reached.Load() || !strings.Contains(err.Error(), "redirects") {
		t.Errorf("error %v, reached %v", err, reached.Load())
	}
}

func TestRetry(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status      int
		body        string
		failures    int32 // how often the server fails
		want        int32 // requests
		unavailable bool
	}{
		"overloaded":      {http.StatusServiceUnavailable, "", 2, 3, false},
		"for ever":        {http.StatusInternalServerError, "<html>", 99, 3, true},
		"too many":        {http.StatusTooManyRequests, "", 99, 3, true},
		"refused":         {http.StatusBadRequest, `{"error_code":"INVALID_PARAMETER_VALUE","message":"no"}`, 99, 1, false},
		"no MLflow there": {http.StatusNotFound, "<html>", 99, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var n atomic.Int32
			base := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", "0")
				if n.Add(1) <= test.failures {
					w.WriteHeader(test.status)
					_, _ = io.WriteString(w, test.body)
					return
				}
				_, _ = io.WriteString(w, `{"experiment":{"experiment_id":"5","lifecycle_stage":"active"}}`)
			})
			id, err := openREST(t, base, Options{}).EnsureExperiment(t.Context(), "x")
			if n.Load() != test.want || (err == nil) != (id == "5") || errors.Is(err, mlflow.ErrUnavailable) != test.unavailable {
				t.Errorf("%d requests, %q, %v", n.Load(), id, err)
			}
			if test.failures > 3 && err == nil {
				t.Error("no error")
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	base := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	_, err := openREST(t, base, Options{}).EnsureExperiment(ctx, "x")
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, mlflow.ErrUnavailable) {
		t.Errorf("error %v", err)
	}
}

func TestUnreachableServer(t *testing.T) {
	t.Parallel()
	web := httptest.NewServer(http.NotFoundHandler())
	base := web.URL
	web.Close()
	_, err := openREST(t, base+"/secret-path", Options{}).EnsureExperiment(t.Context(), "x")
	if !errors.Is(err, mlflow.ErrUnavailable) || strings.Contains(err.Error(), "secret-path") {
		t.Errorf("error %v", err)
	}
}

// The server creates the run, and its response is lost.
func TestEnsureRunCreatesOnceAfterALostResponse(t *testing.T) {
	t.Parallel()
	s, base := startServer(t)
	var lost atomic.Int32
	opt := Options{Transport: transport(func(r *http.Request) (*http.Response, error) {
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err == nil && strings.HasSuffix(r.URL.Path, "runs/create") && lost.Add(1) == 1 {
			_ = resp.Body.Close()
			return nil, io.ErrUnexpectedEOF
		}
		return resp, err
	})}
	mlflowtest.NewRun(t, openREST(t, base, opt))
	if lost.Load() != 1 || len(s.runs) != 1 {
		t.Errorf("%d answers lost, %d runs", lost.Load(), len(s.runs))
	}
}

// Of several runs with one key the oldest stays.
func TestEnsureRunKeepsTheOldestOfSeveralRuns(t *testing.T) {
	t.Parallel()
	bases := map[string]string{}
	_, bases["rest"] = startServer(t)
	if mlflowtest.Installed() {
		bases["mlflow"] = startMLflow(t)
	}
	for name, base := range bases {
		t.Run(name, func(t *testing.T) {
			target := openREST(t, base, Options{})
			exp, err := target.EnsureExperiment(t.Context(), t.Name())
			if err != nil {
				t.Fatal(err)
			}
			var ids []string
			for _, at := range []int64{3000, 1000, 2000} {
				var created struct {
					Run wireRun `json:"run"`
				}
				post(t, base, "runs/create", createRunBody{exp, "r", at, []wirePair{{mlflow.TagRunID, "01RUN"}, {mlflow.TagPhase, "pipeline"}}}, &created)
				ids = append(ids, created.Run.Info.ID)
			}
			_, id := mlflowtest.NewRun(t, target)
			if id != ids[1] {
				t.Errorf("run %s of %q", id, ids)
			}
			var found struct {
				Runs []wireRun `json:"runs"`
			}
			post(t, base, "runs/search", searchBody{[]string{exp}, "tags.`tunebus.run_id` = '01RUN'"}, &found)
			if len(found.Runs) != 1 || found.Runs[0].Info.ID != id {
				t.Errorf("left %+v", found.Runs)
			}
		})
	}
}

// post calls the API without the client.
func post(t *testing.T, base, call string, body, answer any) {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(base+"/api/2.0/mlflow/"+call, "application/json", strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if err := json.NewDecoder(resp.Body).Decode(answer); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", call, resp.Status, err)
	}
}

func TestEnsureExperimentRestoresADeletedOne(t *testing.T) {
	t.Parallel()
	s, base := startServer(t)
	target := openREST(t, base, Options{})
	id, err := target.EnsureExperiment(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	post(t, base, "experiments/delete", experimentBody{ID: id}, &struct{}{})
	if again, err := target.EnsureExperiment(t.Context(), "x"); err != nil || again != id || s.experiments[0].Stage != "active" {
		t.Errorf("experiment %q, %v", again, err)
	}
}

// Another writer adds a parameter between reading and writing. The server then
// refuses the whole batch, and the other parameters of it are sent again.
func TestLogParamsBesideAnotherWriter(t *testing.T) {
	t.Parallel()
	s, base := startServer(t)
	var came atomic.Bool
	opt := Options{Transport: transport(func(r *http.Request) (*http.Response, error) {
		if strings.HasSuffix(r.URL.Path, "runs/log-batch") && !came.Swap(true) {
			s.mu.Lock()
			s.runs[0].params["a"] = "theirs"
			s.mu.Unlock()
		}
		return http.DefaultTransport.RoundTrip(r)
	})}
	target := openREST(t, base, opt)
	_, id := mlflowtest.NewRun(t, target)
	err := target.LogParams(t.Context(), id, mlflowtest.Params("a", "ours", "b", "ours"))
	var conflict *mlflow.ParamConflictError
	if !errors.As(err, &conflict) || !slices.Equal(conflict.Keys, []string{"a"}) {
		t.Errorf("error %v", err)
	}
	mlflowtest.Expect(t, s.runs[0].params, map[string]string{"a": "theirs", "b": "ours"})
}

func TestStalledUpload(t *testing.T) {
	t.Parallel()
	_, base := startServer(t)
	opt := Options{Tries: 2, Timeout: 50 * time.Millisecond, Transport: transport(func(r *http.Request) (*http.Response, error) {
		if r.Method != http.MethodPut {
			return http.DefaultTransport.RoundTrip(r)
		}
		<-r.Context().Done()
		return nil, errors.Join(context.Cause(r.Context()), r.Body.Close())
	})}
	target := openREST(t, base, opt)
	_, id := mlflowtest.NewRun(t, target)
	a := mlflowtest.Content("x", "x")
	if err := target.PutArtifact(t.Context(), id, a); !errors.Is(err, mlflow.ErrUnavailable) || !strings.Contains(err.Error(), errStalled.Error()) {
		t.Errorf("error %v", err)
	}
}

// A response that comes before the whole upload is sent is no data race.
func TestUploadThatIsRefusedEarly(t *testing.T) {
	t.Parallel()
	s, base := startServer(t)
	proxy := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		s.ServeHTTP(w, r)
	})
	target := openREST(t, proxy, Options{})
	_, id := mlflowtest.NewRun(t, openREST(t, base, Options{}))
	a := mlflowtest.Content("x", strings.Repeat("x", 8<<20))
	if err := target.PutArtifact(t.Context(), id, a); err == nil {
		t.Error("no error")
	}
}

func TestServerWithoutProxiedArtifacts(t *testing.T) {
	t.Parallel()
	s, base := startServer(t)
	target := openREST(t, base, Options{})
	_, id := mlflowtest.NewRun(t, target)
	s.runs[0].info.ArtifactURI = "s3://bucket/1/artifacts"
	a := mlflowtest.Content("x", "x")
	if err := target.PutArtifact(t.Context(), id, a); !errors.Is(err, errNotProxied) {
		t.Errorf("error %v", err)
	}
}

func TestAddressWithAPath(t *testing.T) {
	t.Parallel()
	s, _ := startServer(t)
	base := serve(t, http.StripPrefix("/mlflow", s).ServeHTTP)
	target := openREST(t, base+"/mlflow", Options{})
	exp, id := mlflowtest.NewRun(t, target)
	address, err := url.Parse(target.RunURL(exp, id))
	if err != nil || address.Path != "/mlflow/" || address.Fragment != "/experiments/"+exp+"/runs/"+id {
		t.Errorf("address of the run: %v, %v", address, err)
	}
}
