package bustest_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

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

func TestPasswordsAndTokens(t *testing.T) {
	t.Parallel()
	user := serve(t, &server.Options{Username: "ann", Password: "hush"})
	token := serve(t, &server.Options{Authorization: "hush-token"})
	with := func(url, who string) string { return strings.Replace(url, "nats://", "nats://"+who+"@", 1) }
	if err := connects(t, conn.Options{URL: with(user, "ann:hush")}); err != nil {
		t.Error(err)
	}
	if err := connects(t, conn.Options{URL: with(token, "hush-token")}); err != nil {
		t.Error(err)
	}
	refused(t, "wrong password", connects(t, conn.Options{URL: with(user, "ann:wrong-one")}), "wrong-one")
	refused(t, "no password", connects(t, conn.Options{URL: user}))
	refused(t, "wrong token", connects(t, conn.Options{URL: with(token, "wrong-token")}), "wrong-token")
}

func TestContextOfTheNATSCommand(t *testing.T) {
	t.Parallel()
	url := serve(t, &server.Options{Username: "ann", Password: "hush"})
	file := func(password string) string {
		path := filepath.Join(t.TempDir(), "context.json")
		body, err := json.Marshal(map[string]string{"url": url, "user": "ann", "password": password})
		if err != nil {
			t.Fatal(err)
		}
		write(t, path, body)
		return path
	}
	if err := connects(t, conn.Options{Context: file("hush")}); err != nil {
		t.Error(err)
	}
	refused(t, "wrong password", connects(t, conn.Options{Context: file("wrong-one")}), "wrong-one")
	refused(t, "no such context", connects(t, conn.Options{Context: filepath.Join(t.TempDir(), "none.json")}))
}

// TestCredentials uses an operator, an account and a user, as "nsc" makes
// them.
func TestCredentials(t *testing.T) {
	t.Parallel()
	operator, account, user := key(t, nkeys.CreateOperator), key(t, nkeys.CreateAccount), key(t, nkeys.CreateUser)
	oc := jwt.NewOperatorClaims(public(t, operator))
	signed, err := oc.Encode(operator)
	if err != nil {
		t.Fatal(err)
	}
	trusted, err := jwt.DecodeOperatorClaims(signed)
	if err != nil {
		t.Fatal(err)
	}
	ac, err := jwt.NewAccountClaims(public(t, account)).Encode(operator)
	if err != nil {
		t.Fatal(err)
	}
	accounts := &server.MemAccResolver{}
	if err := accounts.Store(public(t, account), ac); err != nil {
		t.Fatal(err)
	}
	url := serve(t, &server.Options{TrustedOperators: []*jwt.OperatorClaims{trusted}, AccountResolver: accounts})
	credentials := func(by nkeys.KeyPair) string {
		uc, err := jwt.NewUserClaims(public(t, user)).Encode(by)
		if err != nil {
			t.Fatal(err)
		}
		seed, err := user.Seed()
		if err != nil {
			t.Fatal(err)
		}
		body, err := jwt.FormatUserConfig(uc, seed)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "user.creds")
		write(t, path, body)
		return path
	}
	if err := connects(t, conn.Options{URL: url, Credentials: credentials(account)}); err != nil {
		t.Error(err)
	}
	refused(t, "a user of nobody's account", connects(t, conn.Options{URL: url, Credentials: credentials(key(t, nkeys.CreateAccount))}))
	refused(t, "no credentials", connects(t, conn.Options{URL: url}))
	refused(t, "a missing file", connects(t, conn.Options{URL: url, Credentials: filepath.Join(t.TempDir(), "none.creds")}))
}

func key(t *testing.T, create func() (nkeys.KeyPair, error)) nkeys.KeyPair {
	t.Helper()
	k, err := create()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func public(t *testing.T, k nkeys.KeyPair) string {
	t.Helper()
	p, err := k.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca := newAuthority(t, filepath.Join(dir, "ca.pem"))
	other := newAuthority(t, filepath.Join(dir, "other.pem"))
	certificate := ca.issue(t, filepath.Join(dir, "server"))
	ca.issue(t, filepath.Join(dir, "client"))
	other.issue(t, filepath.Join(dir, "stranger"))
	one := serve(t, &server.Options{TLS: true, TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}})
	mutual := serve(t, mutualTLS(ca, certificate))
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, c := range []struct {
		name string
		opts conn.Options
		ok   bool
	}{
		{"the right authority", conn.Options{URL: one, CAFile: at("ca.pem")}, true},
		{"another authority", conn.Options{URL: one, CAFile: at("other.pem")}, false},
		{"no authority", conn.Options{URL: one}, false},
		{"a missing authority", conn.Options{URL: one, CAFile: at("none.pem")}, false},
		{"an own certificate", conn.Options{URL: mutual, CAFile: at("ca.pem"), CertFile: at("client.pem"), KeyFile: at("client.key")}, true},
		{"no own certificate", conn.Options{URL: mutual, CAFile: at("ca.pem")}, false},
		{"a stranger's certificate", conn.Options{URL: mutual, CAFile: at("ca.pem"), CertFile: at("stranger.pem"), KeyFile: at("stranger.key")}, false},
		{"a certificate without its key", conn.Options{URL: mutual, CAFile: at("ca.pem"), CertFile: at("client.pem"), KeyFile: at("stranger.key")}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := connects(t, c.opts)
			if c.ok && err != nil {
				t.Error(err)
			}
			if !c.ok {
				refused(t, c.name, err)
			}
		})
	}
}

// mutualTLS wants a client's certificate, too.
func mutualTLS(ca authority, own tls.Certificate) *server.Options {
	return &server.Options{TLS: true, TLSVerify: true, TLSConfig: &tls.Config{
		Certificates: []tls.Certificate{own}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.pool, MinVersion: tls.VersionTLS12,
	}}
}

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t *testing.T, path string) authority {
	t.Helper()
	a := authority{key: ecKey(t), pool: x509.NewCertPool()}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.pool.AddCert(a.cert)
	write(t, path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return a
}

// issue writes path.pem and path.key for 127.0.0.1.
func (a authority) issue(t *testing.T, path string) tls.Certificate {
	t.Helper()
	k := ecKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: filepath.Base(path)}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &k.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path+".pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	write(t, path+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: k}
}

func ecKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func write(t *testing.T, path string, body []byte) {
	t.Helper()
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Fatal(err)
	}
}
