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
