package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/gofrs/flock"
	"github.com/nats-io/nats-server/v2/server"
)

// Options say where the server keeps its data and who may reach it.
type Options struct {
	// Dir is the data folder; it is made if it is missing.
	Dir string
	// Listen is host:port for clients outside of the process, such as
	// "127.0.0.1:4222". Empty: no socket at all.
	Listen string
	// RelaxedSync fsyncs every two minutes instead of every write. What was
	// acknowledged then survives the end of the process, but not of the
	// machine.
	RelaxedSync bool
	// MaxBytes bounds what the server stores. Default 16 GiB.
	MaxBytes int64
	// Logger gets the server's warnings and errors. Default: discard.
	Logger *slog.Logger
}

// Server is a running server.
type Server struct {
	ns   *server.Server
	lock *flock.Flock
}

// Errors that callers tell apart.
var (
	// ErrInUse says that another process holds the data folder.
	ErrInUse = errors.New("another process uses this data folder; stop it, or choose another folder with --data")
	// ErrPort says that the port is taken.
	ErrPort = errors.New("the port is taken; stop who listens there, or choose another one with --port")
)

// Start starts a server and waits until it takes connections.
func Start(ctx context.Context, opts Options) (*Server, error) {
	if err := os.MkdirAll(opts.Dir, 0o750); err != nil {
		return nil, fmt.Errorf("data folder %s: %w", opts.Dir, err)
	}
	lock := flock.New(filepath.Join(opts.Dir, "lock"))
	held, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock data folder %s: %w", opts.Dir, err)
	}
	if !held {
		return nil, fmt.Errorf("data folder %s: %w", opts.Dir, ErrInUse)
	}
	s := &Server{lock: lock}
	if err := s.start(ctx, opts); err != nil {
		return nil, errors.Join(err, lock.Unlock())
	}
	return s, nil
}

func (s *Server) start(ctx context.Context, opts Options) error {
	o := &server.Options{
		ServerName: "tunebus", DontListen: opts.Listen == "", NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: opts.Dir, SyncAlways: !opts.RelaxedSync,
		JetStreamMaxStore: opts.MaxBytes, JetStreamMaxMemory: 64 << 20,
	}
	if o.JetStreamMaxStore == 0 {
		o.JetStreamMaxStore = 16 << 30
	}
	if opts.Listen != "" {
		if err := listenOn(ctx, o, opts.Listen); err != nil {
			return err
		}
	}
	ns, err := server.NewServer(o)
	if err != nil {
		return fmt.Errorf("NATS server: %w", err)
	}
	log := logger{opts.Logger, make(chan error, 1)}
	if log.log == nil {
		log.log = slog.New(slog.DiscardHandler)
	}
	ns.SetLogger(log, false, false)
	s.ns = ns
	ns.Start()
	for !ns.ReadyForConnections(100 * time.Millisecond) {
		var why error
		select {
		case why = <-log.fatal:
		case <-ctx.Done():
			why = context.Cause(ctx)
		default:
			if ns.Running() {
				continue
			}
			why = errStopped
		}
		s.stop()
		return fmt.Errorf("NATS server in %s did not become ready: %w", opts.Dir, why)
	}
	if !ns.JetStreamEnabled() {
		s.stop()
		return fmt.Errorf("NATS server: JetStream could not open its store in %s; is the folder writable?", opts.Dir)
	}
	return nil
}

var errStopped = errors.New("the server stopped")

// listenOn checks the address first, since the server itself ends the process
// on a port that is taken.
func listenOn(ctx context.Context, o *server.Options, address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("listen on %q: %w", address, err)
	}
	o.Host = host
	if o.Port, err = strconv.Atoi(port); err != nil {
		return fmt.Errorf("listen on %q: %w", address, err)
	}
	if o.Port == 0 {
		o.Port = server.RANDOM_PORT
		return nil
	}
	probe, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("listen on %s: %w (%w)", address, ErrPort, err)
	}
	return probe.Close()
}

// InProcessConn is a connection that uses no socket.
func (s *Server) InProcessConn() (net.Conn, error) { return s.ns.InProcessConn() }

// URL is where clients outside of the process connect; empty without a
// listener.
func (s *Server) URL() string {
	if s.ns.Addr() == nil {
		return ""
	}
	return s.ns.ClientURL()
}

// Stop ends the server, writes what is not on disk yet, and lets the data
// folder go.
func (s *Server) Stop() error {
	s.stop()
	if err := s.lock.Unlock(); err != nil {
		return fmt.Errorf("unlock data folder: %w", err)
	}
	return nil
}

func (s *Server) stop() {
	s.ns.Shutdown()
	s.ns.WaitForShutdown()
}

// logger passes the server's words on; its notices are details here. A server
// that cannot start says so to its logger alone, counting on that to end the
// process, and stays as it is.
type logger struct {
	log   *slog.Logger
	fatal chan error
}

func (l logger) Noticef(format string, v ...any) {
	l.log.Debug("nats-server: " + fmt.Sprintf(format, v...))
}
func (l logger) Warnf(format string, v ...any) {
	l.log.Warn("nats-server: " + fmt.Sprintf(format, v...))
}
func (l logger) Errorf(format string, v ...any) {
	l.log.Error("nats-server: " + fmt.Sprintf(format, v...))
}
func (l logger) Fatalf(format string, v ...any) {
	err := fmt.Errorf(format, v...)
	l.log.Error("nats-server: " + err.Error())
	select {
	case l.fatal <- err:
	default: // the first one is the cause
	}
}
func (l logger) Debugf(format string, v ...any) {
	l.log.Debug("nats-server: " + fmt.Sprintf(format, v...))
}
func (l logger) Tracef(format string, v ...any) {
	l.log.Debug("nats-server: " + fmt.Sprintf(format, v...))
}
