package deploy_test

import (
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

// loadProfile loads the compose file for a profile as "docker compose config" does.
func loadProfile(t *testing.T, profile string, environ ...string) *types.Project {
	t.Helper()
	var profiles []string
	if profile != "" {
		profiles = []string{profile}
	}
	opts, err := cli.NewProjectOptions([]string{"../docker-compose.yml"}, cli.WithProfiles(profiles), cli.WithEnv(environ), cli.WithResolvedPaths(true))
	if err != nil {
		t.Fatal(err)
	}
	p, err := opts.LoadProject(t.Context())
	if err != nil {
		t.Fatalf("profile %q: %v", profile, err)
	}
	return p
}

// TestCredentialsReachTheirServices: with each profile a service gets the credentials of
// its work, and no other one; a variable that is not set is empty.
func TestCredentialsReachTheirServices(t *testing.T) {
	t.Parallel()
	all := []string{"HF_TOKEN", "OPENAI_API_KEY", "WANDB_API_KEY"}
	ordinary := map[string][]string{
		"setup": {"HF_TOKEN"}, "intake": {"HF_TOKEN"}, "finetune": {"HF_TOKEN"}, "inference": {"HF_TOKEN"}, "tracker": {"HF_TOKEN"},
		"evaluation": {"HF_TOKEN", "OPENAI_API_KEY"},
	}
	for profile, more := range map[string]map[string][]string{
		"":       {},
		"trl":    {"finetune-trl": {"HF_TOKEN", "WANDB_API_KEY"}},
		"gpu":    {"finetune-trl-gpu": {"HF_TOKEN", "WANDB_API_KEY"}},
		"submit": {"submit": {"HF_TOKEN"}},
	} {
		want := map[string][]string{"nats": nil, "mlflow": nil}
		for _, services := range []map[string][]string{ordinary, more} {
			for name, credentials := range services {
				want[name] = credentials
			}
		}
		given := loadProfile(t, profile, "HF_TOKEN=of HF_TOKEN", "OPENAI_API_KEY=of OPENAI_API_KEY", "WANDB_API_KEY=of WANDB_API_KEY")
		bare := loadProfile(t, profile)
		for name, s := range given.Services {
			credentials, known := want[name]
			if !known {
				t.Errorf("profile %q starts %s", profile, name)
			}
			delete(want, name)
			for _, variable := range all {
				value, ok := s.Environment[variable]
				gets := false
				for _, c := range credentials {
					gets = gets || c == variable
				}
				if ok != gets || gets && (value == nil || *value != "of "+variable) {
					t.Errorf("profile %q: %s gets %s: %t, want %t", profile, name, variable, ok, gets)
				}
				if empty := bare.Services[name].Environment[variable]; gets && (empty == nil || *empty != "") {
					t.Errorf("profile %q: %s gets a %s that nobody has set", profile, name, variable)
				}
			}
		}
		for name := range want {
			t.Errorf("profile %q does not start %s", profile, name)
		}
	}
}

// TestWandbToken: the seed's name of the key means the same one, and the usual name wins.
func TestWandbToken(t *testing.T) {
	t.Parallel()
	for want, environ := range map[string][]string{
		"older": {"WANDB_TOKEN=older"},
		"newer": {"WANDB_TOKEN=older", "WANDB_API_KEY=newer"},
	} {
		for profile, name := range map[string]string{"trl": "finetune-trl", "gpu": "finetune-trl-gpu"} {
			got := loadProfile(t, profile, environ...).Services[name].Environment["WANDB_API_KEY"]
			if got == nil || *got != want {
				t.Errorf("%s with %q gets %v, want %s", name, environ, got, want)
			}
		}
	}
}
