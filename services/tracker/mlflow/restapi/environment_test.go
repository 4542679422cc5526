package restapi

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/services/tracker/mlflow"
)

func environment(values map[string]string) func(string) string {
	return func(name string) string { return values[name] }
}

func TestOptionsFromEnvironment(t *testing.T) {
	t.Parallel()
	opt, err := OptionsFromEnvironment(environment(map[string]string{
		"MLFLOW_TRACKING_USERNAME": "ada", "MLFLOW_TRACKING_PASSWORD": "p", "MLFLOW_TRACKING_TOKEN": "t",
		"MLFLOW_HTTP_REQUEST_TIMEOUT": "7", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_TRACKING_INSECURE_TLS": "true",
	}))
	if err != nil || opt.Username != "ada" || opt.Password != "p" || opt.Token != "t" || opt.Timeout != 7*time.Second || opt.Tries != 1 || !opt.TLS.InsecureSkipVerify {
		t.Errorf("options %+v, %v", opt, err)
	}
	if opt, err := OptionsFromEnvironment(environment(nil)); err != nil || opt != (Options{}) {
		t.Errorf("options of an empty environment: %+v, %v", opt, err)
	}
}

func TestOptionsFromEnvironmentFaults(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, values := range map[string]map[string]string{
		"MLFLOW_HTTP_REQUEST_TIMEOUT":      {"MLFLOW_HTTP_REQUEST_TIMEOUT": "soon"},
		"MLFLOW_HTTP_REQUEST_MAX_RETRIES":  {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "-1", "MLFLOW_TRACKING_INSECURE_TLS": "false"},
		"MLFLOW_TRACKING_INSECURE_TLS":     {"MLFLOW_TRACKING_INSECURE_TLS": "s3cret"},
		"MLFLOW_TRACKING_SERVER_CERT_PATH": {"MLFLOW_TRACKING_SERVER_CERT_PATH": empty},
		"MLFLOW_TRACKING_CLIENT_CERT_PATH": {"MLFLOW_TRACKING_CLIENT_CERT_PATH": empty},
		"contradicts":                      {"MLFLOW_TRACKING_SERVER_CERT_PATH": empty, "MLFLOW_TRACKING_INSECURE_TLS": "1"},
		"no such file":                     {"MLFLOW_TRACKING_SERVER_CERT_PATH": empty + ".not"},
	} {
		if _, err := OptionsFromEnvironment(environment(values)); err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTLS: a server with its own certificate that asks for one of the client.
func TestTLS(t *testing.T) {
	t.Parallel()
	s, _ := startServer(t)
	web := httptest.NewUnstartedServer(s)
	web.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	web.Config.ErrorLog = log.New(io.Discard, "", 0) // the test has it refuse clients
	web.StartTLS()
	t.Cleanup(web.Close)
	dir := t.TempDir()
	trusted, own := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "client.pem")
	err := errors.Join(
		os.WriteFile(trusted, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw}), 0o600),
		os.WriteFile(own, clientCertificate(t), 0o600),
	)
	if err != nil {
		t.Fatal(err)
	}
	opt, err := OptionsFromEnvironment(environment(map[string]string{
		"MLFLOW_TRACKING_SERVER_CERT_PATH": trusted, "MLFLOW_TRACKING_CLIENT_CERT_PATH": own,
	}))
	if err != nil {
		t.Fatal(err)
	}
	if id, err := openREST(t, web.URL, opt).EnsureExperiment(t.Context(), "x"); err != nil || id == "" {
		t.Errorf("experiment %q, %v", id, err)
	}
	for name, opt := range map[string]Options{
		"an unknown server": {Tries: 1, TLS: &tls.Config{Certificates: opt.TLS.Certificates}},
		"no certificate":    {Tries: 1, TLS: &tls.Config{RootCAs: opt.TLS.RootCAs}},
	} {
		if _, err := openREST(t, web.URL, opt).EnsureExperiment(t.Context(), "x"); !errors.Is(err, mlflow.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// clientCertificate is a certificate and its key, as PEM.
func clientCertificate(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "tracker"}, NotAfter: time.Now().Add(time.Hour)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...)
}
