package embedded

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gofrs/flock"
	"github.com/nats-io/nats-server/v2/server"
)

// Options of [Start].
type Options struct {
	// Dir is the data folder. Start creates it.
	Dir string
	// Listen is host:port for clients in other processes, such as
	// "127.0.0.1:4222". Empty: no socket.
	Listen string
	// Token is what clients in other processes have to present. Empty: nothing.
	Token string
	// RelaxedSync fsyncs every two minutes instead of at every write.
	// Acknowledged messages then survive a crash of the process, but not of the
	// machine.
	RelaxedSync bool
	// MaxBytes limits the size of the store. Default 16 GiB.
	MaxBytes int64
	// Logger gets the log of the server. Default: discard.
	Logger *slog.Logger
}

// Server is a running server.
type Server struct {
	ns   *server.Server
	lock *flock.Flock
}

// Errors of [Start].
var (
	// ErrInUse means that another process uses the data folder.
	ErrInUse = errors.New("another process uses this data folder; wait for its end, or choose another folder with --data")
	// ErrPort means that the port is taken.
	ErrPort = errors.New("the port is taken; stop who listens there, or choose another one with --port")
)

// Start starts a server and waits until it accepts connections. ctx limits the
// start alone; [Server.Stop] ends the server.
func Start(ctx context.Context, opts Options) (*Server, error) {
	if err := os.MkdirAll(opts.Dir, 0o750); err != nil {
		return nil, fmt.Errorf("data folder %s: %w", opts.Dir, err)
	}
	lock := flock.New(filepath.Join(opts.Dir, "lock"))
	locked, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock data folder %s: %w", opts.Dir, err)
	}
	if !locked {
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
	if opts.Token != "" {
		o.CustomClientAuthentication = token(opts.Token)
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
	log := logger{opts.Logger, make(chan error, 1), new(atomic.Bool)}
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
	log.ready.Store(true)
	return nil
}

var errStopped = errors.New("the server stopped")

// listenOn sets the address. It tries the port first, because the server ends the
// process if the port is taken.
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

// token admits the clients that present it, and those of this process.
type token string

// Check implements [server.Authentication].
func (t token) Check(c server.ClientAuthentication) bool {
	if from := c.RemoteAddress(); from != nil && from.Network() == inProcess {
		return true
	}
	return subtle.ConstantTimeCompare([]byte(c.GetOpts().Token), []byte(t)) == 1
}

// inProcess is the network of a connection without a socket, a [net.Pipe].
const inProcess = "pipe"

// InProcessConn returns a connection without a socket.
func (s *Server) InProcessConn() (net.Conn, error) { return s.ns.InProcessConn() }

// URL is the address for clients in other processes. It is empty if the server
// does not listen.
func (s *Server) URL() string {
	if s.ns.Addr() == nil {
		return ""
	}
	return s.ns.ClientURL()
}

// Stop ends the server, writes its store to disk, and unlocks the data folder.
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

// logger forwards the server's log. Its notices are debug messages here. If the
// server cannot start it reports that to its logger alone and expects the logger
// to end the process; fatal takes the error to Start instead.
type logger struct {
	log   *slog.Logger
	fatal chan error
	// ready is set when the server has started. What it warns of before is how it recovers
	// the store of a process that was killed.
	ready *atomic.Bool
}

func (l logger) Noticef(format string, v ...any) {
	l.log.Debug("nats-server: " + fmt.Sprintf(format, v...))
}
func (l logger) Warnf(format string, v ...any) {
	level := slog.LevelInfo
	text := fmt.Sprintf(format, v...)
	// A consumer whose messages were purged had acknowledged them before: nothing is lost.
	if l.ready.Load() && !strings.HasSuffix(text, "from purge: old update ignored") {
		level = slog.LevelWarn
	}
	l.log.Log(context.Background(), level, "nats-server: "+text)
}
func (l logger) Errorf(format string, v ...any) {
	l.log.Error("nats-server: " + fmt.Sprintf(format, v...))
}
func (l logger) Fatalf(format string, v ...any) {
	err := fmt.Errorf(format, v...)
	l.log.Error("nats-server: " + err.Error())
	select {
	case l.fatal <- err:
	default: // the first error is the cause
	}
}
func (l logger) Debugf(format string, v ...any) {
	l.log.Debug("nats-server: " + fmt.Sprintf(format, v...))
}
func (l logger) Tracef(format string, v ...any) {
	l.log.Debug("nats-server: " + fmt.Sprintf(format, v...))
}
