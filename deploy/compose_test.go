package deploy_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"

	"github.com/tunebus/tunebus/pipeline/settings"
)

// project loads the compose file as compose itself does, schema checks
// included.
func project(t *testing.T) *types.Project {
	t.Helper()
	opts, err := cli.NewProjectOptions([]string{"../docker-compose.yml"}, cli.WithProfiles([]string{"*"}), cli.WithResolvedPaths(true))
	if err != nil {
		t.Fatal(err)
	}
	p, err := opts.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestEveryServiceHasAContainerFile(t *testing.T) {
	t.Parallel()
	p := project(t)
	for _, name := range []string{"intake", "finetune", "inference", "evaluation", "tracker"} {
		s, err := p.GetService(name)
		if err != nil {
			t.Errorf("no service %s", name)
			continue
		}
		if s.Build == nil || s.Build.Target != name {
			t.Errorf("%s is not built from a target of its own", name)
		}
	}
	for name, s := range p.Services {
		if s.Build == nil {
			continue
		}
		file := filepath.Join(s.Build.Context, s.Build.Dockerfile)
		body, err := os.ReadFile(file)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		stage := regexp.MustCompile(`(?m)^FROM \S+ AS ` + regexp.QuoteMeta(s.Build.Target) + `$`)
		if !stage.Match(body) {
			t.Errorf("%s: %s has no target %s", name, file, s.Build.Target)
		}
	}
}

// TestEveryProgramIsBuilt holds that a target's program is one that exists
// and that the container file builds.
func TestEveryProgramIsBuilt(t *testing.T) {
	t.Parallel()
	body, err := os.ReadFile("Containerfile")
	if err != nil {
		t.Fatal(err)
	}
	entries := regexp.MustCompile(`(?m)^ENTRYPOINT \["([^"]+)"\]$`).FindAllSubmatch(body, -1)
	programs := map[string]bool{}
	for _, e := range entries {
		programs[string(e[1])] = true
	}
	if len(programs) != 6 {
		t.Errorf("%d programs, want 6", len(programs))
	}
	for _, e := range entries {
		name := string(e[1])
		main := filepath.Join("..", "cmd", name, "main.go")
		if service, ok := strings.CutPrefix(name, "tunebus-"); ok {
			main = filepath.Join("..", "services", service, "cmd", name, "main.go")
		}
		if _, err := os.Stat(main); err != nil {
			t.Errorf("entry point %s: %v", name, err)
		}
		if !strings.Contains(string(body), "/out/"+name+" /usr/local/bin/") {
			t.Errorf("%s is not copied into its image", name)
		}
	}
}

// TestImagesAreBuiltAsMakeDoes holds that the programs in the images are those
// that the tests run: what the compiler is told decides their size and speed.
func TestImagesAreBuiltAsMakeDoes(t *testing.T) {
	t.Parallel()
	makefile, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	images, err := os.ReadFile("Containerfile")
	if err != nil {
		t.Fatal(err)
	}
	for said, repeated := range map[string]string{
		`CGO_ENABLED := (\S+)`: "CGO_ENABLED=%s", `\nTAGS := (\S+)`: "GOFLAGS=-tags=%s",
	} {
		m := regexp.MustCompile(said).FindSubmatch(makefile)
		if m == nil {
			t.Errorf("the Makefile has no %s", said)
			continue
		}
		if want := strings.Replace(repeated, "%s", string(m[1]), 1); !strings.Contains(string(images), want) {
			t.Errorf("the container file has no %s", want)
		}
	}
	linker := regexp.MustCompile(`-X \S+=`)
	if got, want := linker.FindString(string(images)), linker.FindString(string(makefile)); got != want || want == "" {
		t.Errorf("the container file sets the version by %q, the Makefile by %q", got, want)
	}
}

// TestImagesGetTheVersion holds that every image that compose builds is built
// with the argument that the container file turns into the version.
func TestImagesGetTheVersion(t *testing.T) {
	t.Parallel()
	images, err := os.ReadFile("Containerfile")
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`(?m)^ARG VERSION=$`).Match(images) {
		t.Error("the container file has no argument VERSION")
	}
	for name, s := range project(t).Services {
		if s.Build == nil {
			continue
		}
		if _, ok := s.Build.Args["VERSION"]; !ok {
			t.Errorf("%s is built without a version", name)
		}
	}
}

func TestEveryVariableIsRead(t *testing.T) {
	t.Parallel()
	known := settings.Variables()
	for name, s := range project(t).Services {
		if s.Build == nil { // somebody else's program
			continue
		}
		var environ []string
		for variable, value := range s.Environment {
			if !slices.Contains(known, variable) {
				t.Errorf("%s sets %s, which no program reads", name, variable)
			}
			if value != nil {
				environ = append(environ, variable+"="+*value)
			}
		}
		if _, err := settings.Load(nil, environ); err != nil {
			t.Errorf("%s: its settings have faults: %v", name, err)
		}
	}
}

func TestEveryImageIsPinned(t *testing.T) {
	t.Parallel()
	version := regexp.MustCompile(`^[^:@]+(:v?\d+\.\d+\.\d+[\w.-]*|@sha256:[0-9a-f]{64})$`)
	for name, s := range project(t).Services {
		if s.Build == nil && !version.MatchString(s.Image) {
			t.Errorf("%s: image %q is not pinned to a version", name, s.Image)
		}
	}
	body, err := os.ReadFile("Containerfile")
	if err != nil {
		t.Fatal(err)
	}
	stages := []string{}
	for _, m := range regexp.MustCompile(`(?m)^FROM (\S+) AS (\S+)$`).FindAllStringSubmatch(string(body), -1) {
		// Distroless images have no versions but the distribution's.
		if !slices.Contains(stages, m[1]) && !version.MatchString(m[1]) && m[1] != "gcr.io/distroless/static-debian12:nonroot" {
			t.Errorf("base image %q is not pinned to a version", m[1])
		}
		stages = append(stages, m[2])
	}
}

// TestServicesScale holds what "--scale inference=3" needs: no fixed names
// and no ports of the host on the services.
func TestServicesScale(t *testing.T) {
	t.Parallel()
	p := project(t)
	for name, s := range p.Services {
		if s.ContainerName != "" {
			t.Errorf("%s has a fixed container name", name)
		}
		if s.Build != nil && len(s.Ports) > 0 {
			t.Errorf("%s takes a port of the host", name)
		}
		for _, port := range s.Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s opens port %s to everybody", name, port.Published)
			}
		}
	}
}

func TestMLflowKnowsItsName(t *testing.T) {
	t.Parallel()
	p := project(t)
	mlflow, err := p.GetService("mlflow")
	if err != nil {
		t.Fatal(err)
	}
	tracker, err := p.GetService("tracker")
	if err != nil {
		t.Fatal(err)
	}
	uri := tracker.Environment["TUNEBUS_SERVICES_TRACKER_TRACKING_URI"]
	if uri == nil {
		t.Fatal("the tracker is told no MLflow")
	}
	host := strings.TrimPrefix(*uri, "http://")
	for _, arg := range mlflow.Command {
		if hosts, ok := strings.CutPrefix(arg, "--allowed-hosts="); ok {
			if !slices.Contains(strings.Split(hosts, ","), host) {
				t.Errorf("MLflow answers to %s, not to %s", hosts, host)
			}
			return
		}
	}
	t.Error("MLflow is not told its host name, and would refuse the tracker")
}

// TestNATSKeepsWhatItAcknowledges holds that the streams lie on a volume and
// every write is synced.
func TestNATSKeepsWhatItAcknowledges(t *testing.T) {
	t.Parallel()
	nats, err := project(t).GetService("nats")
	if err != nil {
		t.Fatal(err)
	}
	on := func(target string) bool {
		return slices.ContainsFunc(nats.Volumes, func(v types.ServiceVolumeConfig) bool { return v.Target == target })
	}
	if i := slices.Index(nats.Command, "-sd"); i < 0 || nats.Command[i+1] != "/data" {
		t.Errorf("the streams do not lie in /data: %v", nats.Command)
	}
	if !on("/data") || !on("/etc/nats/nats.conf") {
		t.Errorf("volumes %v", nats.Volumes)
	}
	body, err := os.ReadFile("nats/nats.conf")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(body), "sync_interval: always") {
		t.Error("nats.conf does not sync every write")
	}
}
