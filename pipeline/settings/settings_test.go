package settings_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/pipeline/settings"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

func file(t *testing.T, body string) []string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tunebus.toml")
	if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{path}
}

func TestPriorityOfSources(t *testing.T) {
	t.Parallel()
	body := `
[bus]
url = "nats://file:4222"
[services]
log_level = "debug"
[services.finetune]
slots = 2
grace = "30s"
[services.evaluation]
slots = 3
[fine_tuner]
base_model_id = "a key of a specification"
`
	s, err := settings.Load(file(t, body), []string{
		"NATS_URL=nats://common:4222", "TUNEBUS_SERVICES_FINETUNE_SLOTS=4", "HF_TOKEN=common", "TUNEBUS_CREDENTIALS_HUGGINGFACE_TOKEN=ours",
		"TUNEBUS_DATA_ROOTS=/a,/b", "TUNEBUS_LIMITS_MAX_TRIES=7", "TUNEBUS_SETTINGS=elsewhere", "OPENAI_API_KEY=", "TUNEBUS_ACTIVE_HELP=0",
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what      string
		got, want any
	}{
		{"a common variable has priority over the file", s.Bus.URL, "nats://common:4222"},
		{"our variable has priority over the file", s.Finetune.Slots, 4},
		{"our variable has priority over the common one", s.Credentials.HuggingFaceToken, "ours"},
		{"the file has priority over the default", s.Finetune.Grace, 30 * time.Second},
		{"nested sections", s.Evaluation.Slots, 3},
		{"the section above them", s.Services.LogLevel, "debug"},
		{"defaults", s.Inference.Slots, 1},
		{"default duration", s.Intake.Patience, time.Second},
		{"limits of runs", s.Limits.Timeout, 720 * time.Hour},
		{"limits of runs in variables", s.Limits.MaxTries, 7},
		{"lists in variables", strings.Join(s.Data.Roots, "|"), "/a|/b"},
		{"an empty common variable has no effect", s.Credentials.OpenAIKey, ""},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v, want %v", c.what, c.got, c.want)
		}
	}
}

func TestFaultsWithoutSecrets(t *testing.T) {
	t.Parallel()
	body := `[bus]
ulr = "nats://x"
url = "nats://x"
context = "both"
key_file = "alone.pem"
[services]
log_level = "loud"
[services.finetune]
slots = 0
grace = "soon"
[services.unknown]
slots = 1
[credentials]
openai_key = 5150
huggingface_token = "file:/no/such/secret"
keys = ["https://judge.example", "ftp://x=KEY"]
[data]
hub_endpoint = "https://me:s3cret@hub.example"
`
	_, err := settings.Load(file(t, body), []string{"TUNEBUS_BUS_ULR=x", "TUNEBUS_SERVICES_TRACKER_TRACKING_URI=https://u:s3cret@mlflow"})
	faults, ok := errors.AsType[structconf.Faults](err)
	if !ok {
		t.Fatalf("want faults, got %v", err)
	}
	text := faults.Error()
	for _, want := range []string{
		`:2:1: bus.ulr: unknown key; did you mean "url"?`, ":4:1: bus.context", ":5:1: bus.key_file", "services.log_level", ":9:1: services.finetune.slots",
		`services.finetune.grace = "soon": want a duration`, "services.unknown: unknown section", "credentials.openai_key: want a text",
		":15:1: credentials.huggingface_token: its file cannot be read", ":16:1: credentials.keys[0]", ":16:1: credentials.keys[1]", ":18:1: data.hub_endpoint",
		"TUNEBUS_BUS_ULR: no such variable; did you mean TUNEBUS_BUS_URL?", "services.tracker.tracking_uri",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
	for _, secret := range []string{"s3cret", "5150"} {
		if strings.Contains(text, secret) {
			t.Errorf("%q is shown in:\n%s", secret, text)
		}
	}
}

// TestIntakePatience: intake has to wait for longer than a worker needs to end a
// cancelled phase.
func TestIntakePatience(t *testing.T) {
	t.Parallel()
	for patience, ok := range map[string]bool{"0s": false, "800ms": false, "801ms": true, "1s": true} {
		_, err := settings.Load(file(t, "[services.intake]\npatience = \""+patience+"\"\n"), nil)
		if (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "services.intake.patience") {
			t.Errorf("%s: %v", patience, err)
		}
	}
}

func TestSecretFiles(t *testing.T) {
	t.Parallel()
	secret := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(secret, []byte("from a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := settings.Load(file(t, ""), []string{"TUNEBUS_CREDENTIALS_OPENAI_KEY=file:" + secret})
	if err != nil || s.Credentials.OpenAIKey != "from a file" {
		t.Errorf("%q, %v", s.Credentials.OpenAIKey, err)
	}
	for _, v := range structconf.Values(s) {
		if strings.Contains(v.Text, "from a file") {
			t.Errorf("%s.%s shows the secret", v.Section, v.Name)
		}
	}
}

func TestKeyOfOrigin(t *testing.T) {
	t.Parallel()
	s, err := settings.Load(file(t, ""), []string{"OPENAI_API_KEY=paid", "TUNEBUS_CREDENTIALS_KEYS=https://Judge.example:443=JUDGE_KEY"})
	if err != nil {
		t.Fatal(err)
	}
	getenv := func(name string) string { return map[string]string{"JUDGE_KEY": "own"}[name] }
	for address, want := range map[string]string{
		"https://api.openai.com/v1":             "paid",
		"https://API.OPENAI.COM:443/v1":         "paid",
		"http://api.openai.com/v1":              "",
		"https://api.openai.com:8443/v1":        "",
		"https://api.openai.com.evil.example":   "",
		"https://api.openai.com@evil.example":   "",
		"https://judge.example/v1/":             "own",
		"https://judge.example:8000/v1/":        "",
		"file:///etc/passwd":                    "",
		"":                                      "",
		"https://evil.example/api.openai.com/1": "",
	} {
		if got := s.Key(address, getenv); got != want {
			t.Errorf("%s: key %q, want %q", address, got, want)
		}
	}
}

func TestReferenceIsAValidFile(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	if err := structconf.Reference(&b, settings.Settings{}, nil); err != nil {
		t.Fatal(err)
	}
	got, err := settings.Load(file(t, b.String()), nil)
	if err != nil {
		t.Fatal(err)
	}
	var want settings.Settings
	structconf.SetDefaults(&want)
	a, z := structconf.Values(got), structconf.Values(want)
	for i := range a {
		if a[i] != z[i] {
			t.Errorf("%v, want %v", a[i], z[i])
		}
	}
}
