package conn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/natscontext"

	"github.com/tunebus/tunebus/pipeline/bus/codec"
)

// Options say where the server is and how the client identifies itself.
type Options struct {
	// URL is one or more servers, separated by commas. Default
	// nats://127.0.0.1:4222, unless Context or InProcess is set.
	URL string
	// Context names a context of the nats command, or is the absolute path of
	// its file. A context holds a URL and credentials; URL stays empty then.
	Context string
	// Credentials is a .creds file.
	Credentials string
	// NKey is a file with the seed of a user's key pair.
	NKey string
	// Token is what a server on this machine wants of its clients.
	Token string
	// CAFile, CertFile and KeyFile are PEM files for TLS.
	CAFile, CertFile, KeyFile string
	// Name is the client's name, such as "inference". The server's reports show
	// it together with the process id.
	Name string
	// InProcess is a server in this process; Connect then uses no socket.
	// Default: none.
	InProcess interface{ InProcessConn() (net.Conn, error) }
	// Wait is how long Connect tries to reach a server that is not there yet.
	// 0: until ctx ends. Negative: one try.
	Wait time.Duration
	// Logger gets the events of the connection. Default: discard.
	Logger *slog.Logger
}

// Connect connects to the server that opts name. It waits for a server that is
// not there yet, and logs that every few seconds. The error is an
// [*UnreachableError].
func Connect(ctx context.Context, opts Options) (*Conn, error) {
	log := opts.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	waiting := ctx
	if opts.Wait > 0 {
		var cancel context.CancelFunc
		waiting, cancel = context.WithTimeout(ctx, opts.Wait)
		defer cancel()
	}
	var lastReport time.Time
	for {
		nc, err := dial(opts, log)
		if err == nil {
			return open(nc, opts.Name, log)
		}
		err = withoutAddress(err)
		if opts.Wait < 0 || !temporary(err) {
			return nil, &UnreachableError{Server: opts.server(), Err: err, NoContext: errors.Is(err, errNoContext)}
		}
		if time.Since(lastReport) > 5*time.Second {
			log.Warn("waiting for NATS", "server", opts.server(), "error", err)
			lastReport = time.Now()
		}
		select {
		case <-waiting.Done():
			if ctx.Err() != nil { // it was not the server that took too long
				err = fmt.Errorf("%w (%w)", context.Cause(ctx), err)
			}
			return nil, &UnreachableError{Server: opts.server(), Err: err}
		case <-time.After(250 * time.Millisecond):
		}
	}
}

func open(nc *nats.Conn, name string, log *slog.Logger) (*Conn, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("open JetStream: %w", err)
	}
	c := &Conn{nc: nc, js: js, log: log, name: name, codec: codec.New(name)}
	server := host(nc.ConnectedUrl())
	c.server.Store(&server)
	c.ctx, c.cancel = context.WithCancel(context.Background()) // a connection outlives the call that made it
	nc.SetReconnectHandler(func(nc *nats.Conn) {
		log.Info("reconnected to NATS", "server", host(nc.ConnectedUrl()))
		c.limits.reset()
		c.reconnect.notify()
	})
	nc.SetErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		log.Warn("NATS reports", "error", err)
		c.replies.deny(err)
		c.denials.report(err)
	})
	return c, nil
}

// writeLimit is how long a write to the socket may take.
const writeLimit = 5 * time.Second

func dial(opts Options, log *slog.Logger) (*nats.Conn, error) {
	o := []nats.Option{
		nats.Name(fmt.Sprintf("tunebus %s %d", opts.Name, os.Getpid())),
		nats.MaxReconnects(-1),
		nats.PingInterval(20 * time.Second),
		// A write holds the lock of the connection, which every request takes:
		// a peer that reads nothing must not hold requests for a minute.
		nats.FlusherTimeout(writeLimit),
		nats.ReconnectOnFlusherError(),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log.Warn("disconnected from NATS", "error", err)
			}
		}),
		// Credentials that are refused twice may be renewed on disk, or the
		// server may still be learning of them: a service never gives up.
		nats.IgnoreAuthErrorAbort(),
	}
	if opts.Credentials != "" {
		o = append(o, nats.UserCredentials(opts.Credentials))
	}
	if opts.NKey != "" {
		key, err := nats.NkeyOptionFromSeed(opts.NKey)
		if err != nil {
			return nil, fmt.Errorf("key %s: %w", opts.NKey, err)
		}
		o = append(o, key)
	}
	if opts.Token != "" {
		o = append(o, nats.Token(opts.Token))
	}
	if opts.CAFile != "" {
		o = append(o, nats.RootCAs(opts.CAFile))
	}
	if opts.CertFile != "" {
		o = append(o, nats.ClientCert(opts.CertFile, opts.KeyFile))
	}
	switch {
	case opts.InProcess != nil:
		return nats.Connect("", append(o, nats.InProcessServer(opts.InProcess))...)
	case opts.Context != "":
		nc, _, err := natscontext.Connect(opts.Context, o...)
		if err != nil && strings.HasPrefix(err.Error(), "unknown context") {
			err = fmt.Errorf("%w %q", errNoContext, opts.Context)
		}
		return nc, err
	case opts.URL != "":
		return nats.Connect(opts.URL, o...)
	default:
		return nats.Connect(nats.DefaultURL, o...)
	}
}

// errNoContext means that there is no context of a name.
var errNoContext = errors.New("unknown context")

// temporary tells a server that is not there yet from an option that never
// works. A proxy in front of such a server accepts the connection and closes
// it: EOF.
func temporary(err error) bool {
	var op *net.OpError
	if errors.As(err, &op) && (op.Op == "remote error" || op.Op == "local error") {
		return false // an alert of crypto/tls: one side refused the other's certificate
	}
	return errors.Is(err, nats.ErrNoServers) || errors.Is(err, nats.ErrTimeout) || errors.Is(err, io.EOF) || errors.As(err, &op)
}

// withoutAddress removes an address that cannot be parsed from its error,
// since it may hold a password or a token.
func withoutAddress(err error) error {
	var bad *url.Error
	if errors.As(err, &bad) {
		return errors.New("its address cannot be parsed; special characters of a password have to be percent-encoded")
	}
	return err
}

// UnreachableError means that no connection to the server could be made.
type UnreachableError struct {
	// Server is a host and port, or the name of a context. It is never a whole
	// URL, which may hold a token.
	Server string
	Err    error
	// NoContext is set if the context that was named does not exist.
	NoContext bool
}

func (e *UnreachableError) Error() string {
	if e.IsRefused() {
		return "no NATS server answers at " + e.Server
	}
	return fmt.Sprintf("connect to NATS at %s: %v", e.Server, e.Err)
}

// Unwrap returns the cause.
func (e *UnreachableError) Unwrap() error { return e.Err }

// IsTemporary reports whether the same server may be reached later, such as one that
// starts or does not answer. Credentials that were refused are not temporary.
func (e *UnreachableError) IsTemporary() bool { return temporary(e.Err) }

// IsRefused reports whether nobody listens at the address.
func (e *UnreachableError) IsRefused() bool { return errors.Is(e.Err, nats.ErrNoServers) }

func (o Options) server() string {
	switch {
	case o.InProcess != nil:
		return "this process"
	case o.Context != "":
		return "context " + o.Context
	case o.URL == "":
		return host(nats.DefaultURL)
	}
	var hosts []string
	for u := range strings.SplitSeq(o.URL, ",") {
		hosts = append(hosts, host(strings.TrimSpace(u)))
	}
	return strings.Join(hosts, ", ")
}

func host(raw string) string {
	if !strings.Contains(raw, "://") {
		raw = "nats://" + raw
	}
	u, err := url.Parse(raw)
	if err != nil {
		return "the configured server"
	}
	return u.Host
}

// ProcessName is a name for this process: host, process id and a random part,
// so that two processes never share one.
func ProcessName() string {
	h, err := os.Hostname()
	if err != nil {
		h = "host"
	}
	return fmt.Sprintf("%s-%d-%s", h, os.Getpid(), randomHex(3))
}
