package bustest_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"net"
	"os"
	"path/filepath"
	"sync"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// startServer starts a plain nats-server and returns its URL.
func startServer(t *testing.T, o *server.Options) string {
	t.Helper()
	o.Host, o.Port, o.NoSigs, o.NoLog = "127.0.0.1", server.RANDOM_PORT, true, true
	o.JetStreamMaxStore = bustest.MaxStore
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server does not become ready")
	}
	return s.ClientURL()
}

// tryConnect tries once to connect, closes the connection, and returns the
// error.
func tryConnect(t *testing.T, o conn.Options) error {
	t.Helper()
	o.Name, o.Wait = "test", -1
	c, err := conn.Connect(t.Context(), o)
	if err != nil {
		return err
	}
	defer c.Close()
	if !c.Connected() {
		t.Error("Connect has succeeded, and the connection is down")
	}
	return nil
}

// wantUnreachable wants an error that names the server and contains none of the
// secrets.
func wantUnreachable(t *testing.T, what string, err error, secrets ...string) {
	t.Helper()
	unreachable, ok := errors.AsType[*conn.UnreachableError](err)
	if !ok || !strings.Contains(unreachable.Server, "127.0.0.1") && !strings.HasPrefix(unreachable.Server, "context ") {
		t.Errorf("%s: %v, want an UnreachableError that names the server", what, err)
		return
	}
	for _, s := range secrets {
		if strings.Contains(err.Error(), s) {
			t.Errorf("%s: the error contains %q: %v", what, s, err)
		}
	}
}

func writeFile(t *testing.T, path string, body []byte) {
	t.Helper()
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestConnectErrorHidesSecrets(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"nats://user:hush@127.0.0.1:1", "nats://user:hush%zz@127.0.0.1:1", "nats://hush@127.0.0.1:1"} {
		_, err := conn.Connect(t.Context(), conn.Options{URL: url, Wait: -1})
		if _, ok := errors.AsType[*conn.UnreachableError](err); !ok {
			t.Errorf("%v, want an UnreachableError", err)
		} else if strings.Contains(err.Error(), "hush") {
			t.Errorf("the error contains the secret: %v", err)
		}
	}
}

// TestConnectDoesNotRetryRefusals: Connect waits for a server that is not there
// yet, but returns at once if the server refuses the client.
func TestConnectDoesNotRetryRefusals(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca := newAuthority(t, filepath.Join(dir, "ca.pem"))
	other := newAuthority(t, filepath.Join(dir, "other.pem"))
	certificate := ca.issue(t, filepath.Join(dir, "server"))
	other.issue(t, filepath.Join(dir, "unknown"))
	mutual := startServer(t, mutualTLS(ca, certificate))
	user := startServer(t, &server.Options{Username: "ann", Password: "hush"})
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, c := range []struct {
		name, want string
		opts       conn.Options
	}{
		{"wrong password", "authorization violation", conn.Options{URL: strings.Replace(user, "nats://", "nats://ann:wrong-one@", 1)}},
		{"another authority", "certificate signed by unknown authority", conn.Options{URL: mutual, CAFile: at("other.pem")}},
		{"a certificate of another authority", "certificate", conn.Options{URL: mutual, CAFile: at("ca.pem"), CertFile: at("unknown.pem"), KeyFile: at("unknown.key")}},
		{"no client certificate", "certificate", conn.Options{URL: mutual, CAFile: at("ca.pem")}},
		{"a missing file", "none.pem", conn.Options{URL: mutual, CAFile: at("none.pem")}},
		{"an address with an error", "cannot be parsed", conn.Options{URL: "nats://ann:wrong-one%zz@127.0.0.1:4222"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.opts.Wait = time.Minute
			begin := time.Now()
			_, err := conn.Connect(t.Context(), c.opts)
			if _, ok := errors.AsType[*conn.UnreachableError](err); !ok {
				t.Fatalf("%v, want an UnreachableError", err)
			}
			if !strings.Contains(strings.ToLower(err.Error()), c.want) {
				t.Errorf("%v, want an error that contains %q", err, c.want)
			}
			if strings.Contains(err.Error(), "wrong-one") {
				t.Errorf("the error contains the password: %v", err)
			}
			if took := time.Since(begin); took > 15*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

// TestConnectIsBounded: Connect ends in time, by its limit or by the context,
// if no server listens, if the host does not exist, and if the server accepts
// the connection and sends nothing.
func TestConnectIsBounded(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close() // its backlog accepts connections
	for name, url := range map[string]string{
		"no server":     "nats://hush@127.0.0.1:1",
		"no such host":  "nats://hush@tunebus.invalid:4222",
		"silent server": "nats://hush@" + silent.Addr().String(),
		"three servers": "nats://hush@127.0.0.1:1,nats://hush@127.0.0.1:2,nats://hush@127.0.0.1:3",
	} {
		for how, wait := range map[string]time.Duration{"once": -1, "limit": 300 * time.Millisecond, "context": 0} {
			t.Run(name+" "+how, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if how == "context" {
					ctx, cancel = context.WithTimeout(ctx, 300*time.Millisecond)
					defer cancel()
				}
				begin := time.Now()
				_, err := conn.Connect(ctx, conn.Options{URL: url, Wait: wait})
				if _, ok := errors.AsType[*conn.UnreachableError](err); !ok {
					t.Fatalf("%v, want an UnreachableError", err)
				}
				if strings.Contains(err.Error(), "hush") {
					t.Errorf("the error contains the token: %v", err)
				}
				if how == "context" && !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%v, want the error of the context", err)
				}
				if took := time.Since(begin); took > 10*time.Second {
					t.Errorf("it took %s", took)
				}
			})
		}
	}
}

// TestConnectWaitsForServer: Connect succeeds once the server has started.
func TestConnectWaitsForServer(t *testing.T) {
	t.Parallel()
	s := newRestartableServer(t)
	log := &logBuffer{}
	s.stop(t)
	var c *conn.Conn
	var wg sync.WaitGroup
	wg.Go(func() { c = (&testServer{log: log}).connect(t, s.url) })
	eventually(t, "the wait is logged", func() bool { return log.contains("waiting for NATS") })
	s.start(t)
	wg.Wait()
	if c == nil || !c.Connected() {
		t.Error("not connected")
	}
}

// TestConnReconnectsAfterRefusals: a client keeps trying to reconnect while the
// server refuses it several times, as when its list of users is changed.
func TestConnReconnectsAfterRefusals(t *testing.T) {
	t.Parallel()
	options := func(password string, port int) *server.Options {
		return &server.Options{Host: "127.0.0.1", Port: port, NoSigs: true, NoLog: true, Username: "ann", Password: password}
	}
	run := func(o *server.Options) *server.Server {
		s, err := server.NewServer(o)
		if err != nil {
			t.Fatal(err)
		}
		s.Start()
		if !s.ReadyForConnections(10 * time.Second) {
			t.Fatal("the server does not become ready")
		}
		return s
	}
	end := func(s *server.Server) {
		s.Shutdown()
		s.WaitForShutdown()
	}
	s := run(options("hush", server.RANDOM_PORT))
	port := s.Addr().(*net.TCPAddr).Port
	log := &logBuffer{}
	c := (&testServer{log: log}).connect(t, strings.Replace(s.ClientURL(), "nats://", "nats://ann:hush@", 1))
	end(s)
	eventually(t, "the connection is down", func() bool { return !c.Connected() })
	s = run(options("another", port))
	eventually(t, "the third refusal", func() bool { return log.count("authorization violation") >= 3 })
	end(s)
	s = run(options("hush", port))
	defer end(s)
	eventually(t, "the connection is back", c.Connected)
	if log.contains("hush") {
		t.Error("the log contains the password")
	}
}
