package bustest_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

func TestConnectPasswordsAndTokens(t *testing.T) {
	t.Parallel()
	user := startServer(t, &server.Options{Username: "ann", Password: "hush"})
	token := startServer(t, &server.Options{Authorization: "hush-token"})
	with := func(url, who string) string { return strings.Replace(url, "nats://", "nats://"+who+"@", 1) }
	if err := tryConnect(t, conn.Options{URL: with(user, "ann:hush")}); err != nil {
		t.Error(err)
	}
	if err := tryConnect(t, conn.Options{URL: with(token, "hush-token")}); err != nil {
		t.Error(err)
	}
	wantUnreachable(t, "wrong password", tryConnect(t, conn.Options{URL: with(user, "ann:wrong-one")}), "wrong-one")
	wantUnreachable(t, "no password", tryConnect(t, conn.Options{URL: user}))
	wantUnreachable(t, "wrong token", tryConnect(t, conn.Options{URL: with(token, "wrong-token")}), "wrong-token")
}

func TestConnectContextOfNATSCommand(t *testing.T) {
	t.Parallel()
	url := startServer(t, &server.Options{Username: "ann", Password: "hush"})
	file := func(password string) string {
		path := filepath.Join(t.TempDir(), "context.json")
		body, err := json.Marshal(map[string]string{"url": url, "user": "ann", "password": password})
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, path, body)
		return path
	}
	if err := tryConnect(t, conn.Options{Context: file("hush")}); err != nil {
		t.Error(err)
	}
	wantUnreachable(t, "wrong password", tryConnect(t, conn.Options{Context: file("wrong-one")}), "wrong-one")
	wantUnreachable(t, "no such context", tryConnect(t, conn.Options{Context: filepath.Join(t.TempDir(), "none.json")}))
}

// TestConnectCredentials uses an operator, an account and a user, as the "nsc"
// command creates them.
func TestConnectCredentials(t *testing.T) {
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
	url := startServer(t, &server.Options{TrustedOperators: []*jwt.OperatorClaims{trusted}, AccountResolver: accounts})
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
		writeFile(t, path, body)
		return path
	}
	if err := tryConnect(t, conn.Options{URL: url, Credentials: credentials(account)}); err != nil {
		t.Error(err)
	}
	wantUnreachable(t, "a user of an unknown account", tryConnect(t, conn.Options{URL: url, Credentials: credentials(key(t, nkeys.CreateAccount))}))
	wantUnreachable(t, "no credentials", tryConnect(t, conn.Options{URL: url}))
	wantUnreachable(t, "a missing file", tryConnect(t, conn.Options{URL: url, Credentials: filepath.Join(t.TempDir(), "none.creds")}))
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

// TestConnectNKey: the seed of a key pair is in a file that the options name, or
// a context of the nats command.
func TestConnectNKey(t *testing.T) {
	t.Parallel()
	known, unknown := key(t, nkeys.CreateUser), key(t, nkeys.CreateUser)
	url := startServer(t, &server.Options{Nkeys: []*server.NkeyUser{{Nkey: public(t, known)}}})
	file := func(k nkeys.KeyPair) (path, secret string) {
		seed, err := k.Seed()
		if err != nil {
			t.Fatal(err)
		}
		path = filepath.Join(t.TempDir(), "user.nk")
		writeFile(t, path, seed)
		return path, string(seed)
	}
	good, _ := file(known)
	bad, secret := file(unknown)
	contextWith := func(seed string) string {
		body, err := json.Marshal(map[string]string{"url": url, "nkey": seed})
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "context.json")
		writeFile(t, path, body)
		return path
	}
	if err := tryConnect(t, conn.Options{URL: url, NKey: good}); err != nil {
		t.Error(err)
	}
	if err := tryConnect(t, conn.Options{Context: contextWith(good)}); err != nil {
		t.Error(err)
	}
	wantUnreachable(t, "an unknown key", tryConnect(t, conn.Options{URL: url, NKey: bad}), secret)
	wantUnreachable(t, "an unknown key in a context", tryConnect(t, conn.Options{Context: contextWith(bad)}), secret)
	wantUnreachable(t, "no key", tryConnect(t, conn.Options{URL: url}))
	wantUnreachable(t, "a missing file", tryConnect(t, conn.Options{URL: url, NKey: filepath.Join(t.TempDir(), "none.nk")}))
	garbage := filepath.Join(t.TempDir(), "garbage.nk")
	writeFile(t, garbage, []byte("hush"))
	wantUnreachable(t, "no key in the file", tryConnect(t, conn.Options{URL: url, NKey: garbage}), "hush")
}
