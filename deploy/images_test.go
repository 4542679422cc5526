package deploy_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/settings"
)

// stage is a stage of the container file, with what it has from those before it.
type stage struct {
	body string
	env  map[string]string
	user string
}

// stages reads the container file.
func stages(t *testing.T) map[string]stage {
	t.Helper()
	body, err := os.ReadFile("Containerfile")
	if err != nil {
		t.Fatal(err)
	}
	joined := strings.ReplaceAll(string(body), "\\\n", " ")
	out := map[string]stage{}
	var name string
	for line := range strings.Lines(joined) {
		line = strings.TrimSpace(line)
		if m := regexp.MustCompile(`^FROM (\S+) AS (\S+)$`).FindStringSubmatch(line); m != nil {
			before := out[m[1]] // none of an image from elsewhere
			name = m[2]
			s := stage{env: map[string]string{}, user: before.user}
			if strings.HasSuffix(m[1], ":nonroot") {
				s.user = "nonroot"
			}
			for k, v := range before.env {
				s.env[k] = v
			}
			s.body = before.body
			out[name] = s
			continue
		}
		s := out[name]
		s.body += line + "\n"
		if variables, ok := strings.CutPrefix(line, "ENV "); ok {
			for _, v := range strings.Fields(variables) {
				k, value, _ := strings.Cut(v, "=")
				s.env[k] = value
			}
		}
		if user, ok := strings.CutPrefix(line, "USER "); ok {
			s.user = user
		}
		out[name] = s
	}
	return out
}

// settingsOf loads the settings that a service of the compose file has: those of its image,
// and those of the compose file over them.
func settingsOf(t *testing.T, s types.ServiceConfig) settings.Settings {
	t.Helper()
	all := map[string]string{}
	for k, v := range stages(t)[s.Build.Target].env {
		all[k] = v
	}
	for k, v := range s.Environment {
		if v != nil {
			all[k] = *v
		}
	}
	var environ []string
	for k, v := range all {
		environ = append(environ, k+"="+v)
	}
	cfg, err := settings.Load(nil, environ)
	if err != nil {
		t.Fatalf("%s: %v", s.Name, err)
	}
	return cfg
}

// TestServicesHaveTimeToEnd: compose kills a service no sooner than its settings say that
// a job may take to end, with some seconds for what follows, and does not wait for
// minutes where nothing may take minutes.
func TestServicesHaveTimeToEnd(t *testing.T) {
	t.Parallel()
	const rest, most = 15 * time.Second, time.Minute
	long := 0
	for name, s := range project(t).Services {
		phase, _, _ := strings.Cut(name, "-")
		if s.Build == nil || !slices.Contains(events.Phases(), events.Phase(phase)) {
			continue
		}
		grace := settingsOf(t, s).Worker(events.Phase(phase)).Grace
		if s.StopGracePeriod == nil {
			t.Errorf("%s has no stop_grace_period", name)
			continue
		}
		if stop := time.Duration(*s.StopGracePeriod); stop < grace+rest || stop > grace+most {
			t.Errorf("%s: stop_grace_period %s, and services.%s.grace is %s", name, stop, phase, grace)
		}
		if grace == 5*time.Minute {
			long++
		}
	}
	if long != 2 {
		t.Errorf("%d services have a command that trains, want 2", long)
	}
}

// TestImagesHaveNames: each image that compose builds has a name, the same one wherever
// it is the same image.
func TestImagesHaveNames(t *testing.T) {
	t.Parallel()
	targets := map[string]string{}
	for name, s := range project(t).Services {
		if s.Build == nil {
			continue
		}
		want := "tunebus-" + s.Build.Target + ":devel"
		if s.Build.Target == "tunebus" {
			want = "tunebus:devel"
		}
		if s.Image != want {
			t.Errorf("%s: image %q, want %q", name, s.Image, want)
		}
		targets[s.Build.Target] = s.Image
	}
	if len(targets) != 8 {
		t.Errorf("%d images, want 8: %v", len(targets), targets)
	}
}

// TestNoImageRunsAsRoot holds that the last word of each image on its user is a number
// that is not root's.
func TestNoImageRunsAsRoot(t *testing.T) {
	t.Parallel()
	all := stages(t)
	for name, s := range project(t).Services {
		if s.Build == nil {
			continue
		}
		if user := all[s.Build.Target].user; user != "nonroot" && user != "65532:65532" {
			t.Errorf("%s runs as %q", name, user)
		}
		if s.Privileged || len(s.CapAdd) > 0 || s.User != "" {
			t.Errorf("%s has more rights than its image", name)
		}
	}
}

// TestTRLWorker holds that the image of the trl worker starts the trainer that is in it,
// with the packages that the trainer was tested with.
func TestTRLWorker(t *testing.T) {
	t.Parallel()
	p := project(t)
	all := stages(t)
	for _, name := range []string{"finetune-trl", "finetune-trl-gpu"} {
		s, err := p.GetService(name)
		if err != nil {
			t.Errorf("no service %s", name)
			continue
		}
		cfg := settingsOf(t, s)
		command := cfg.Finetune.Command
		if cfg.Finetune.Queue != "trl" || len(command) != 3 || command[0] != "/opt/trl/bin/python" || command[1] != "-m" {
			t.Errorf("%s: queue %q, command %q", name, cfg.Finetune.Queue, command)
			continue
		}
		if _, err := os.Stat(filepath.Join("..", "trainers", "python", command[2], "__main__.py")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !strings.Contains(all[name].body, "COPY --from=trl-environment /opt/trl /opt/trl") {
			t.Errorf("%s has no environment in /opt/trl", name)
		}
		if on := cfg.Data.Scratch; on != "/var/lib/tunebus/scratch" ||
			!slices.ContainsFunc(s.Volumes, func(v types.ServiceVolumeConfig) bool { return v.Target == on }) {
			t.Errorf("%s: scratch folder %q, volumes %v", name, on, s.Volumes)
		}
		if s.Init == nil || !*s.Init {
			t.Errorf("%s: nobody collects the ends of processes", name)
		}
	}
	made := all["trl-environment"].body
	for _, want := range []string{
		"COPY trainers/python/requirements-trl.txt /src/", "--no-deps --require-hashes --requirement /src/requirements-trl.txt",
		"--no-deps --no-index --no-build-isolation /src/python",
	} {
		if !strings.Contains(made, want) {
			t.Errorf("the environment is made without %q:\n%s", want, made)
		}
	}
	body, err := os.ReadFile("../trainers/python/requirements-trl.txt")
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`(?m)^setuptools==`).Match(body) {
		t.Error("setuptools, which builds the trainer, is not among the packages")
	}
}

// TestGPUProfile: a GPU is reserved for the worker of the profile gpu, and for nobody
// else; without a profile nothing of it is started.
func TestGPUProfile(t *testing.T) {
	t.Parallel()
	p := project(t)
	for name, s := range p.Services {
		var devices []types.DeviceRequest
		if s.Deploy != nil && s.Deploy.Resources.Reservations != nil {
			devices = s.Deploy.Resources.Reservations.Devices
		}
		if name != "finetune-trl-gpu" {
			if len(devices) > 0 {
				t.Errorf("%s reserves devices", name)
			}
			continue
		}
		if len(devices) != 1 || devices[0].Driver != "nvidia" || devices[0].Count != 1 || !slices.Equal(devices[0].Capabilities, []string{"gpu"}) {
			t.Errorf("%s reserves %+v", name, devices)
		}
		if !slices.Equal(s.Profiles, []string{"gpu"}) {
			t.Errorf("%s has the profiles %v", name, s.Profiles)
		}
	}
	gpu := stages(t)
	if got := gpu["finetune-trl-gpu"].env["NVIDIA_DRIVER_CAPABILITIES"]; got != "compute,utility" {
		t.Errorf("the image asks for %q of the driver", got)
	}
	makefile, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	tags := regexp.MustCompile(`-tags gpu,\$\(TAGS\)`).Find(makefile)
	if !strings.Contains(gpu["build-gpu"].body, "-tags=gpu,disable_grpc_modules") || tags == nil {
		t.Error("the program with GPU metrics is not built as make does")
	}
}
