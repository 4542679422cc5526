package chatserver

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tunebus/tunebus/services/inference/chatserver/completionapi"
	"github.com/tunebus/tunebus/services/inference/chatserver/servedmodel"
)

// Options say what is served, and to whom.
type Options struct {
	// Models are those that answer. Their names differ.
	Models []*servedmodel.Model
	// Key is what a client has to send as a bearer token; empty: nothing.
	Key string
	// Local serves only requests whose Host is localhost or an address, so that no page of
	// another site reaches the server through a name of its own.
	Local bool
	// Parallel is how many requests are answered at once, and Queue how many more may wait.
	// Default 16 and 64.
	Parallel, Queue int
	// MaxBody is the most bytes of a body. Default 8 MiB.
	MaxBody int64
	// Grace is how long open requests may go on when the server stops.
	Grace time.Duration
	// Log gets what is odd, but no text of a request or an answer.
	Log *slog.Logger
	// OnRequest, when set, gets each request when it has ended, from any goroutine.
	OnRequest func(Record)
	// OnDrain, when set, gets how many requests are open when the server begins to stop.
	OnDrain func(open int)

	// patience is how long a client may send or read nothing; another time in tests.
	patience time.Duration
}

// Record is a request that has ended. It has nothing of a prompt or an answer.
type Record struct {
	ID, Path, Model string
	Status          int
	Stream          bool
	// PromptTokens and Tokens count the prompt and the answer.
	PromptTokens, Tokens int
	// Finish is why the answer ended; empty if there is none.
	Finish string
	// Fault is what was wrong; empty for nothing.
	Fault string
	// Cut is set if the request outlived the grace of a server that stops.
	Cut bool
	// First is how long the first token of a stream took, and Took the whole request.
	First, Took time.Duration
}

// statusClientGone is what a log says of a request whose client went away; nobody reads it.
const statusClientGone = 499

// Server serves models.
type Server struct {
	o        Options
	models   map[string]*servedmodel.Model
	requests gate // open ones
	bytes    gate // of bodies that are being read
	pace     pace
	created  time.Time

	stopping atomic.Bool
	handlers sync.WaitGroup

	mu   sync.Mutex
	said map[string]bool // parameters without effect that the log has named
}

// New makes a server.
func New(o Options) *Server {
	o.Parallel, o.MaxBody = cmp.Or(o.Parallel, 16), cmp.Or(o.MaxBody, 8<<20)
	o.patience = cmp.Or(o.patience, 30*time.Second)
	const bodiesAtOnce = 8
	s := &Server{
		o: o, models: map[string]*servedmodel.Model{}, created: time.Now(), said: map[string]bool{},
		requests: gate{limit: int64(o.Parallel + o.Queue)}, bytes: gate{limit: bodiesAtOnce * o.MaxBody},
	}
	for _, m := range o.Models {
		for _, name := range m.Names {
			s.models[name] = m
		}
	}
	return s
}

// ErrStopping is why a request ends that outlives the grace.
var ErrStopping = errors.New("the server is stopping")

// Serve answers the requests of a listener until ctx ends. Then it takes no more, lets
// those that are open end within the grace, and returns nil. The listener is closed.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	base, cut := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cut(nil)
	server := &http.Server{
		Handler:           s.handler(),
		BaseContext:       func(net.Listener) context.Context { return base },
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(s.o.Log.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	select {
	case err := <-served:
		cut(ErrStopping)
		err = errors.Join(err, server.Close())
		s.handlers.Wait()
		return err
	case <-ctx.Done():
	}
	s.stopping.Store(true)
	if s.o.OnDrain != nil {
		s.o.OnDrain(int(s.requests.now()))
	}
	grace, cancel := context.WithTimeout(base, s.o.Grace)
	defer cancel()
	err := server.Shutdown(grace)
	if errors.Is(err, context.DeadlineExceeded) {
		cut(ErrStopping)
		err = server.Close()
	}
	if ended := <-served; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	s.handlers.Wait() // all end soon after their context
	return err
}

// ignored says once of each parameter that it has no effect.
func (s *Server) ignored(r completionapi.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range r.Ignored {
		if !s.said[name] { // their names are known, so that the map stays small
			s.said[name] = true
			s.o.Log.Warn("a parameter of requests has no effect on the answers", "parameter", name)
		}
	}
}
