package bustest_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

func TestConnectTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca := newAuthority(t, filepath.Join(dir, "ca.pem"))
	other := newAuthority(t, filepath.Join(dir, "other.pem"))
	certificate := ca.issue(t, filepath.Join(dir, "server"))
	ca.issue(t, filepath.Join(dir, "client"))
	other.issue(t, filepath.Join(dir, "unknown"))
	one := startServer(t, &server.Options{TLS: true, TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}})
	mutual := startServer(t, mutualTLS(ca, certificate))
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, c := range []struct {
		name string
		opts conn.Options
		ok   bool
	}{
		{"the right authority", conn.Options{URL: one, CAFile: at("ca.pem")}, true},
		{"another authority", conn.Options{URL: one, CAFile: at("other.pem")}, false},
		{"no authority", conn.Options{URL: one}, false},
		{"a missing file", conn.Options{URL: one, CAFile: at("none.pem")}, false},
		{"a client certificate", conn.Options{URL: mutual, CAFile: at("ca.pem"), CertFile: at("client.pem"), KeyFile: at("client.key")}, true},
		{"no client certificate", conn.Options{URL: mutual, CAFile: at("ca.pem")}, false},
		{"a certificate of another authority", conn.Options{URL: mutual, CAFile: at("ca.pem"), CertFile: at("unknown.pem"), KeyFile: at("unknown.key")}, false},
		{"a certificate without its key", conn.Options{URL: mutual, CAFile: at("ca.pem"), CertFile: at("client.pem"), KeyFile: at("unknown.key")}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := tryConnect(t, c.opts)
			if c.ok && err != nil {
				t.Error(err)
			}
			if !c.ok {
				wantUnreachable(t, c.name, err)
			}
		})
	}
}

// mutualTLS are options of a server that requires a client certificate.
func mutualTLS(ca authority, certificate tls.Certificate) *server.Options {
	return &server.Options{TLS: true, TLSVerify: true, TLSConfig: &tls.Config{
		Certificates: []tls.Certificate{certificate}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.pool, MinVersion: tls.VersionTLS12,
	}}
}

// authority is a certificate authority.
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
	writeFile(t, path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return a
}

// issue writes a certificate for 127.0.0.1 to path.pem and its key to path.key.
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
	writeFile(t, path+".pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	writeFile(t, path+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
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
