package chatserver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/tunebus/tunebus/services/inference/chatserver/completionapi"
	"github.com/tunebus/tunebus/services/inference/chatserver/servedmodel"
)

// exchange is one request and its answer.
type exchange struct {
	server *Server
	form   completionapi.Form
	w      *recorder
	// streaming is set when the first piece was written: what goes wrong then has no
	// status of its own.
	streaming bool
}

// run answers a request.
func (e *exchange) run(r *http.Request, parse func([]byte) (completionapi.Request, error)) error {
	s := e.server
	if s.stopping.Load() {
		return stopping()
	}
	body, err := s.body(e.w, r)
	if err != nil {
		return err
	}
	request, err := parse(body)
	if err != nil {
		return err
	}
	e.w.record.Stream = request.Stream
	s.ignored(request)
	model, fault := s.model(request.Model)
	if fault != nil {
		return fault
	}
	e.w.record.Model = request.Model
	leave, ok := s.requests.enter(1)
	defer leave()
	if !ok {
		return s.full(e.w, fmt.Sprintf("the queue is full: %d requests are being answered, and %d wait", s.o.Parallel, s.o.Queue))
	}
	q, err := newQuestion(model, request)
	if err != nil {
		return err
	}
	e.w.record.PromptTokens = len(q.prompt)
	a := &answer{question: q}
	h := completionapi.Header{ID: e.w.record.ID, Created: e.w.began.Unix(), Model: request.Model}
	if request.Stream {
		err = a.stream(r.Context(), e.pieces(a, h))
	} else {
		err = e.whole(r.Context(), a, h)
	}
	e.w.record.Tokens = a.tokens
	if !a.first.IsZero() {
		e.w.record.First = a.first.Sub(e.w.began)
	}
	s.pace.add(time.Since(e.w.began))
	return err
}

// newQuestion renders a request, and checks that the model has room for it.
func newQuestion(model *servedmodel.Model, r completionapi.Request) (question, error) {
	q := question{request: r, model: model}
	var err error
	if q.prompt, err = model.Prompt(r); err != nil {
		return q, err
	}
	param := "messages"
	if r.Messages == nil {
		param = "prompt"
	}
	if len(q.prompt) == 0 {
		return q, &completionapi.Error{Status: http.StatusBadRequest, Param: param, Message: param + ": no token is left of it, so that the model has nothing to go on with"}
	}
	rest := model.MaxLength - len(q.prompt)
	if q.most = r.Sampling.MaxTokens; q.most == 0 {
		q.most = rest
	}
	if rest < 1 || q.most > rest {
		text := fmt.Sprintf("%s: the prompt has %d tokens, and a prompt and its answer may have %d together", param, len(q.prompt), model.MaxLength)
		if rest >= 1 {
			text += fmt.Sprintf(": max_tokens may be %d, and is %d", rest, q.most)
		}
		return q, &completionapi.Error{Status: http.StatusBadRequest, Code: "context_length_exceeded", Param: param, Message: text}
	}
	return q, nil
}

// whole writes an answer at its end.
func (e *exchange) whole(ctx context.Context, a *answer, h completionapi.Header) error {
	p, err := a.whole(ctx)
	if err != nil {
		return err
	}
	e.w.record.Finish = p.Finish
	if err := e.patient(); err != nil {
		return err
	}
	respond(e.w, http.StatusOK, e.form.Whole(h, p, a.usage()))
	return nil
}

// pieces writes a piece of a stream at a time.
func (e *exchange) pieces(a *answer, h completionapi.Header) func(completionapi.Piece) error {
	return func(p completionapi.Piece) error {
		var out []any
		if !e.streaming {
			e.w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
			e.w.Header().Set("Cache-Control", "no-cache")
			e.w.Header().Set("X-Accel-Buffering", "no") // nginx would hold pieces back
			e.streaming = true
			if first := e.form.Begin(h); first != nil {
				out = append(out, first)
			}
		}
		if finish := p.Finish; finish != "" && (p.Text != "" || len(p.Logprobs) > 0) { // as OpenAI's last piece has no text
			p.Finish = ""
			out = append(out, e.form.Next(h, p))
			p = completionapi.Piece{Finish: finish}
		}
		out = append(out, e.form.Next(h, p))
		if p.Finish != "" {
			e.w.record.Finish = p.Finish
			if a.request.IncludeUsage {
				out = append(out, e.form.Last(h, a.usage()))
			}
		}
		return e.events(p.Finish != "", out...)
	}
}

// events writes events of a stream, and the mark of its end.
func (e *exchange) events(end bool, values ...any) error {
	var text bytes.Buffer
	for _, v := range values {
		body, err := json.Marshal(v)
		if err != nil {
			return err
		}
		fmt.Fprintf(&text, "data: %s\n\n", body)
	}
	if end {
		text.WriteString("data: [DONE]\n\n")
	}
	if err := e.patient(); err != nil {
		return err
	}
	if _, err := e.w.Write(text.Bytes()); err != nil {
		return &slowError{err}
	}
	if err := http.NewResponseController(e.w).Flush(); err != nil {
		return &slowError{err}
	}
	return nil
}

// slowError means that a client did not take what it asked for.
type slowError struct{ err error }

func (e *slowError) Error() string { return "the client does not read its answer: " + e.err.Error() }
func (e *slowError) Unwrap() error { return e.err }

// patient gives a client some time for the next write.
func (e *exchange) patient() error {
	return http.NewResponseController(e.w).SetWriteDeadline(time.Now().Add(e.server.o.patience))
}

// fail says why there is no answer, or no more of it.
func (e *exchange) fail(ctx context.Context, err error) {
	fault, known := errors.AsType[*completionapi.Error](err)
	_, slow := errors.AsType[*slowError](err)
	switch {
	case known:
	case slow || isGone(ctx):
		e.w.record.Status, e.w.record.Fault = statusClientGone, "the client went away"
		if slow && errors.Is(err, os.ErrDeadlineExceeded) {
			e.w.record.Fault = err.Error()
		}
		return
	case errors.Is(context.Cause(ctx), ErrStopping):
		fault, e.w.record.Cut = stopping(), true
	default:
		e.server.o.Log.Error("a request has no answer", "id", e.w.record.ID, "error", err)
		fault = &completionapi.Error{Status: http.StatusInternalServerError, Message: err.Error()}
	}
	e.w.record.Finish, e.w.record.Fault = "", fault.Message
	if e.streaming { // without the mark of the end: nobody takes the answer for a whole one
		e.w.record.Status = fault.Status
		_ = e.events(false, fault) // a client that has gone reads nothing
		return
	}
	if e.patient() == nil {
		refuse(e.w, fault)
	}
}

// readAll reads a body of a size, which is below 0 if it is not known.
func readAll(r io.Reader, size int64) ([]byte, error) {
	var b bytes.Buffer
	if size > 0 {
		b.Grow(int(min(size, 64<<10)))
	}
	_, err := b.ReadFrom(r)
	return b.Bytes(), err
}
