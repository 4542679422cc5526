package bustest_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// TestNKey: a key pair, as a seed file beside the URL and in a context of the
// nats command.
func TestNKey(t *testing.T) {
	t.Parallel()
	own, stranger := key(t, nkeys.CreateUser), key(t, nkeys.CreateUser)
	url := serve(t, &server.Options{Nkeys: []*server.NkeyUser{{Nkey: public(t, own)}}})
	file := func(k nkeys.KeyPair) (path, secret string) {
		seed, err := k.Seed()
		if err != nil {
			t.Fatal(err)
		}
		path = filepath.Join(t.TempDir(), "user.nk")
		write(t, path, seed)
		return path, string(seed)
	}
	good, _ := file(own)
	bad, secret := file(stranger)
	in := func(seed string) string {
		body, err := json.Marshal(map[string]string{"url": url, "nkey": seed})
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "context.json")
		write(t, path, body)
		return path
	}
	if err := connects(t, conn.Options{URL: url, NKey: good}); err != nil {
		t.Error(err)
	}
	if err := connects(t, conn.Options{Context: in(good)}); err != nil {
		t.Error(err)
	}
	refused(t, "a stranger's key", connects(t, conn.Options{URL: url, NKey: bad}), secret)
	refused(t, "a stranger's key in a context", connects(t, conn.Options{Context: in(bad)}), secret)
	refused(t, "no key", connects(t, conn.Options{URL: url}))
	refused(t, "a missing file", connects(t, conn.Options{URL: url, NKey: filepath.Join(t.TempDir(), "none.nk")}))
	garbage := filepath.Join(t.TempDir(), "garbage.nk")
	write(t, garbage, []byte("hush"))
	refused(t, "no key in the file", connects(t, conn.Options{URL: url, NKey: garbage}), "hush")
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
