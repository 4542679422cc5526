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

	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

func TestUnreachableServerIsNamedWithoutItsSecrets(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"nats://user:hush@127.0.0.1:1", "nats://user:hush%zz@127.0.0.1:1", "nats://hush@127.0.0.1:1"} {
		_, err := conn.Connect(t.Context(), conn.Options{URL: url, Wait: -1})
		var unreachable *conn.UnreachableError
		if !errors.As(err, &unreachable) {
			t.Errorf("%v, want an UnreachableError", err)
		} else if strings.Contains(err.Error(), "hush") {
			t.Errorf("the error tells the secret: %v", err)
		}
	}
}

// TestRefusalsAreNotWaitedFor: a server that is not there yet is waited for;
// one that refuses is not, however long Connect may wait.
func TestRefusalsAreNotWaitedFor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca := newAuthority(t, filepath.Join(dir, "ca.pem"))
	other := newAuthority(t, filepath.Join(dir, "other.pem"))
	certificate := ca.issue(t, filepath.Join(dir, "server"))
	other.issue(t, filepath.Join(dir, "stranger"))
	mutual := serve(t, mutualTLS(ca, certificate))
	user := serve(t, &server.Options{Username: "ann", Password: "hush"})
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, c := range []struct {
		name, says string
		opts       conn.Options
	}{
		{"wrong password", "authorization violation", conn.Options{URL: strings.Replace(user, "nats://", "nats://ann:wrong-one@", 1)}},
		{"another authority", "certificate signed by unknown authority", conn.Options{URL: mutual, CAFile: at("other.pem")}},
		{"a stranger's certificate", "certificate", conn.Options{URL: mutual, CAFile: at("ca.pem"), CertFile: at("stranger.pem"), KeyFile: at("stranger.key")}},
		{"no own certificate", "certificate", conn.Options{URL: mutual, CAFile: at("ca.pem")}},
		{"a missing authority", "none.pem", conn.Options{URL: mutual, CAFile: at("none.pem")}},
		{"an address with an error", "cannot be parsed", conn.Options{URL: "nats://ann:wrong-one%zz@127.0.0.1:4222"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.opts.Wait = time.Minute
			begin := time.Now()
			_, err := conn.Connect(t.Context(), c.opts)
			var unreachable *conn.UnreachableError
			if !errors.As(err, &unreachable) || !strings.Contains(strings.ToLower(err.Error()), c.says) || strings.Contains(err.Error(), "wrong-one") {
				t.Errorf("%v, want one that says %q", err, c.says)
			}
			if took := time.Since(begin); took > 15*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

// TestConnectIsBounded: nobody there, a host without a name, and one who
// takes the connection and says nothing: each ends in time, by the limit or
// by the context.
func TestConnectIsBounded(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close() // the backlog takes connections that nobody answers
	for name, url := range map[string]string{
		"nobody there":  "nats://hush@127.0.0.1:1",
		"no such host":  "nats://hush@tunebus.invalid:4222",
		"says nothing":  "nats://hush@" + silent.Addr().String(),
		"three of them": "nats://hush@127.0.0.1:1,nats://hush@127.0.0.1:2,nats://hush@127.0.0.1:3",
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
				var unreachable *conn.UnreachableError
				if !errors.As(err, &unreachable) || strings.Contains(err.Error(), "hush") || how == "context" && !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v", err)
				}
				if took := time.Since(begin); took > 10*time.Second {
					t.Errorf("it took %s", took)
				}
			})
		}
	}
}

// TestServerThatComesLate is waited for.
func TestServerThatComesLate(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	log := &lines{}
	b.stop(t)
	var late *conn.Conn
	var wg sync.WaitGroup
	wg.Go(func() { late = (&bench{log: log}).connect(t, b.url) })
	eventually(t, "a word in the log", func() bool { return log.has("waiting for NATS") })
	b.start(t)
	wg.Wait()
	if late == nil || !late.Connected() {
		t.Error("not connected")
	}
}

// TestRefusedOnReconnect: a server that refuses a client's return, again and
// again, since its list of users is being mended, does not lose the client for
// good.
func TestRefusedOnReconnect(t *testing.T) {
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
	log := &lines{}
	b := (&bench{log: log}).connect(t, strings.Replace(s.ClientURL(), "nats://", "nats://ann:hush@", 1))
	end(s)
	eventually(t, "the connection is down", func() bool { return !b.Connected() })
	s = run(options("another", port))
	eventually(t, "the third refusal", func() bool { return log.count("authorization violation") >= 3 })
	end(s)
	s = run(options("hush", port))
	defer end(s)
	eventually(t, "the connection is back", b.Connected)
	if log.has("hush") {
		t.Error("the log tells the password")
	}
}

// serve starts a plain nats-server with options of its own.
func serve(t *testing.T, o *server.Options) string {
	t.Helper()
	o.Host, o.Port, o.NoSigs, o.NoLog = "127.0.0.1", server.RANDOM_PORT, true, true
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

// connects tries once and returns the error.
func connects(t *testing.T, o conn.Options) error {
	t.Helper()
	o.Name, o.Wait = "test", -1
	b, err := conn.Connect(t.Context(), o)
	if err != nil {
		return err
	}
	defer b.Close()
	if !b.Connected() {
		t.Error("connected, and yet not")
	}
	return nil
}

// refused wants an error that names the server and none of the secrets.
func refused(t *testing.T, what string, err error, secrets ...string) {
	t.Helper()
	var unreachable *conn.UnreachableError
	if !errors.As(err, &unreachable) || !strings.Contains(unreachable.Server, "127.0.0.1") && !strings.HasPrefix(unreachable.Server, "context ") {
		t.Errorf("%s: %v, want an UnreachableError that names the server", what, err)
		return
	}
	for _, s := range secrets {
		if strings.Contains(err.Error(), s) {
			t.Errorf("%s: the error tells %q: %v", what, s, err)
		}
	}
}

func write(t *testing.T, path string, body []byte) {
	t.Helper()
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Fatal(err)
	}
}
