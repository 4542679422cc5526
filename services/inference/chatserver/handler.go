package chatserver

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tunebus/tunebus/services/inference/chatserver/completionapi"
	"github.com/tunebus/tunebus/services/inference/chatserver/servedmodel"
)

// handler is all that the server answers.
func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+healthPath, s.health)
	mux.Handle("GET /v1/models", s.guarded(s.list))
	mux.Handle("GET /v1/models/{model...}", s.guarded(s.one))
	mux.Handle("POST /v1/chat/completions", s.guarded(s.completions(completionapi.ParseChat, completionapi.Chat{})))
	mux.Handle("POST /v1/completions", s.guarded(s.completions(completionapi.ParseText, completionapi.Text{})))
	return http.HandlerFunc(func(plain http.ResponseWriter, r *http.Request) {
		s.handlers.Add(1)
		defer s.handlers.Done()
		w := &recorder{ResponseWriter: plain, began: time.Now(), record: Record{Path: r.URL.Path, Status: http.StatusOK}}
		if _, pattern := mux.Handler(r); pattern == "" {
			s.unknown(mux, w, r)
		} else {
			mux.ServeHTTP(w, r)
		}
		w.record.Took = time.Since(w.began)
		if s.o.OnRequest != nil && r.URL.Path != healthPath { // something asks for it every few seconds
			s.o.OnRequest(w.record)
		}
	})
}

const healthPath = "/health"

// recorder is a response, and what is told of it afterwards.
type recorder struct {
	http.ResponseWriter

	began  time.Time
	record Record
}

// WriteHeader implements [http.ResponseWriter].
func (w *recorder) WriteHeader(status int) {
	w.record.Status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for [http.ResponseController].
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// unknown answers what has no handler. A path that is there has another method.
func (s *Server) unknown(mux *http.ServeMux, w http.ResponseWriter, r *http.Request) {
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		other := r.Clone(r.Context())
		other.Method = method
		if _, pattern := mux.Handler(other); pattern != "" {
			w.Header().Set("Allow", method)
			refuse(w, &completionapi.Error{Status: http.StatusMethodNotAllowed, Message: fmt.Sprintf("%.200s wants the method %s", r.URL.Path, method)})
			return
		}
	}
	refuse(w, &completionapi.Error{
		Status: http.StatusNotFound,
		Message: fmt.Sprintf("there is no %.200s; the server has /v1/models, /v1/chat/completions, /v1/completions and /health",
			r.URL.Path),
	})
}

func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	if s.stopping.Load() {
		refuse(w, stopping())
		return
	}
	respond(w, http.StatusOK, map[string]string{"status": "ok"})
}

func stopping() *completionapi.Error {
	return &completionapi.Error{Status: http.StatusServiceUnavailable, Message: ErrStopping.Error()}
}

// guarded lets those pass who may.
func (s *Server) guarded(next http.HandlerFunc) http.Handler {
	want := sha256.Sum256([]byte(s.o.Key))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.o.Local && !isLocal(r.Host) {
			refuse(w, &completionapi.Error{
				Status: http.StatusForbidden,
				Message: fmt.Sprintf("the request is for the host %.200q, and without an API key this server answers only for localhost and addresses; "+
					"start it with an API key to use another name", r.Host),
			})
			return
		}
		if s.o.Key != "" {
			scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
			have := sha256.Sum256([]byte(strings.TrimSpace(given)))
			if subtle.ConstantTimeCompare(have[:], want[:]) != 1 || !strings.EqualFold(scheme, "Bearer") {
				w.Header().Set("WWW-Authenticate", "Bearer")
				refuse(w, &completionapi.Error{
					Status: http.StatusUnauthorized, Code: "invalid_api_key",
					Message: "the API key is missing or wrong; send it as Authorization: Bearer KEY",
				})
				return
			}
		}
		next(w, r)
	})
}

// isLocal reports whether a Host is localhost or an address: no site can have such a name.
func isLocal(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	name = strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	_, err = netip.ParseAddr(name)
	return err == nil || strings.EqualFold(name, "localhost") || strings.HasSuffix(strings.ToLower(name), ".localhost")
}

// list lists the models.
func (s *Server) list(w http.ResponseWriter, _ *http.Request) {
	out := completionapi.Models{Object: "list", Data: []completionapi.Model{}}
	for _, m := range s.o.Models {
		for _, name := range m.Names {
			out.Data = append(out.Data, s.described(m, name))
		}
	}
	respond(w, http.StatusOK, out)
}

func (s *Server) described(m *servedmodel.Model, name string) completionapi.Model {
	d := m.Describe(name)
	d.Created = s.created.Unix()
	return d
}

// one describes one model.
func (s *Server) one(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("model")
	m, fault := s.model(name)
	if fault != nil {
		refuse(w, fault)
		return
	}
	respond(w, http.StatusOK, s.described(m, name))
}

// model finds a model.
func (s *Server) model(name string) (*servedmodel.Model, *completionapi.Error) {
	if m, ok := s.models[name]; ok {
		return m, nil
	}
	return nil, &completionapi.Error{
		Status: http.StatusNotFound, Code: "model_not_found", Param: "model",
		Message: fmt.Sprintf("there is no model %.200q; this server has %s", name, strings.Join(slices.Sorted(maps.Keys(s.models)), ", ")),
	}
}

// completions answers requests of one endpoint.
func (s *Server) completions(parse func([]byte) (completionapi.Request, error), form completionapi.Form) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		e := &exchange{server: s, form: form, w: w.(*recorder)} // as handler makes it
		e.w.record.ID = form.Prefix() + rand.Text()
		w.Header().Set("X-Request-Id", e.w.record.ID)
		if err := e.run(r, parse); err != nil {
			e.fail(r.Context(), err)
		}
	}
}

// body reads the body of a request, within the bounds.
func (s *Server) body(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return nil, &completionapi.Error{
			Status:  http.StatusUnsupportedMediaType,
			Message: fmt.Sprintf("the Content-Type is %.100q; send the header Content-Type: application/json", r.Header.Get("Content-Type")),
		}
	}
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return nil, &completionapi.Error{
			Status:  http.StatusUnsupportedMediaType,
			Message: fmt.Sprintf("the Content-Encoding is %.100q; send the body as it is, without that header", encoding),
		}
	}
	size := r.ContentLength
	if size > s.o.MaxBody {
		s.drain(w, r)
		return nil, tooLarge(s.o.MaxBody)
	}
	if size < 0 {
		size = s.o.MaxBody
	}
	leave, ok := s.bytes.enter(size)
	defer leave()
	if !ok {
		return nil, s.full(w, "large requests are being read")
	}
	deadline := http.NewResponseController(w)
	if err := deadline.SetReadDeadline(time.Now().Add(s.o.patience)); err != nil {
		return nil, err
	}
	body, err := readAll(http.MaxBytesReader(w, r.Body, s.o.MaxBody), r.ContentLength)
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		s.drain(w, r)
		return nil, tooLarge(s.o.MaxBody)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, &completionapi.Error{Status: http.StatusRequestTimeout, Message: fmt.Sprintf("the body did not come within %s", s.o.patience)}
	}
	if err != nil {
		return nil, &completionapi.Error{Status: http.StatusBadRequest, Message: "the body ends in the middle"}
	}
	return body, deadline.SetReadDeadline(time.Time{})
}

// drain takes the rest of a body that is too large, up to a bound: many clients read no
// answer before they have sent everything, and see a broken connection in its place. Those
// that wait for leave to send need none of it.
func (s *Server) drain(w http.ResponseWriter, r *http.Request) {
	const most = 16
	if r.Header.Get("Expect") != "" {
		return
	}
	if http.NewResponseController(w).SetReadDeadline(time.Now().Add(s.o.patience)) == nil {
		_, _ = io.CopyN(io.Discard, r.Body, most*s.o.MaxBody)
	}
}

func tooLarge(most int64) *completionapi.Error {
	return &completionapi.Error{Status: http.StatusRequestEntityTooLarge, Message: fmt.Sprintf("the body is larger than %d bytes", most)}
}

// full refuses a request for which there is no room, and says when to ask again.
func (s *Server) full(w http.ResponseWriter, why string) *completionapi.Error {
	wait := s.pace.wait(s.o.Parallel)
	seconds := int(math.Ceil(wait.Seconds()))
	w.Header().Set("Retry-After", strconv.Itoa(seconds))
	w.Header().Set("Retry-After-Ms", strconv.FormatInt(wait.Milliseconds(), 10)) // as OpenAI says it, for clients that know it
	return &completionapi.Error{
		Status: http.StatusTooManyRequests, Code: "queue_full",
		Message: fmt.Sprintf("%s; ask again in %d s", why, seconds),
	}
}

// respond writes a response that is no stream.
func respond(w http.ResponseWriter, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil { // such as a log probability that is no number
		status, body = http.StatusInternalServerError, []byte(`{"error":{"message":"the answer cannot be written as JSON","type":"server_error","param":null,"code":null}}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // a client that has gone reads nothing
}

// refuse says why there is no other response.
func refuse(w http.ResponseWriter, e *completionapi.Error) {
	if w, ok := w.(*recorder); ok {
		w.record.Fault = e.Message
	}
	respond(w, e.Status, e)
}

// isGone reports whether a request ended because its client did not wait, rather than
// because the server stops.
func isGone(ctx context.Context) bool {
	return ctx.Err() != nil && !errors.Is(context.Cause(ctx), ErrStopping)
}
