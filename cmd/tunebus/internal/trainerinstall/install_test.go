package trainerinstall

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/tunebus/tunebus/pipeline/child/supervisor"
	"github.com/tunebus/tunebus/pipeline/filelock"
	"github.com/tunebus/tunebus/pipeline/trainerenv"
	"github.com/tunebus/tunebus/trainers"
)

func TestMain(m *testing.M) {
	supervisor.Main()
	os.Exit(m.Run())
}

// index is a folder with a package, which stands for an index of packages.
type index struct{ folder, hash string }

// newIndex writes a wheel of the package tiny.
func newIndex(t *testing.T) index {
	t.Helper()
	i := index{folder: t.TempDir()}
	path := filepath.Join(i.folder, "tiny-1.0-py3-none-any.whl")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	for name, content := range map[string]string{
		"tiny/__init__.py":            "",
		"tiny-1.0.dist-info/WHEEL":    "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
		"tiny-1.0.dist-info/RECORD":   "tiny/__init__.py,,\ntiny-1.0.dist-info/WHEEL,,\ntiny-1.0.dist-info/METADATA,,\ntiny-1.0.dist-info/RECORD,,\n",
		"tiny-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
	} {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write([]byte(content))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(z.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	i.hash = fmt.Sprintf("%x", sha256.Sum256(body))
	return i
}

// options install tiny from the index, with a real Python and the real pip.
func options(t *testing.T, i index) Options {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		// "make test" needs Go alone; CI runs "make test-trainer", which fails without a python3.
		t.Skip("there is no python3; make test-trainer wants one") // CI has one
	}
	if v, err := probe(t.Context(), python, os.Environ()); err != nil || !v.isSupported() {
		t.Skipf("this test needs a Python %s, and python3 is %v (%v)", wanted(), v, err) // so may a machine of a developer; CI has one
	}
	engine, _ := trainers.Find(trainers.TRL)
	engine.Bytes = 1 << 20
	var mu sync.Mutex
	return Options{
		Engine: engine, Folder: filepath.Join(t.TempDir(), "engines", "trl"), Program: "v1.2.3", Python: python,
		Environ: append(os.Environ(), "PIP_NO_INDEX=1", "PIP_FIND_LINKS="+i.folder, "UV_NO_INDEX=1", "UV_FIND_LINKS="+i.folder, "UV_CACHE_DIR="+t.TempDir(), "PIP_NO_CACHE_DIR=1"),
		Say: func(format string, args ...any) {
			mu.Lock()
			defer mu.Unlock()
			t.Logf(format, args...)
		},
		requirements: "tiny==1.0 --hash=sha256:" + i.hash + "\n",
		check:        func(context.Context, string) (map[string]string, error) { return map[string]string{"tiny": "1.0"}, nil },
	}
}

// left are the names beside the folder of an environment.
func left(t *testing.T, o Options) string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(o.Folder))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

// TestInstall: an environment holds its packages and the trainer, its scripts know where
// they are, a second call does nothing, and one that is stale is made anew.
func TestInstall(t *testing.T) {
	t.Parallel()
	o := options(t, newIndex(t))
	env, made, err := Install(t.Context(), o)
	if err != nil || !made || env.Folder != o.Folder || env.Versions["tiny"] != "1.0" || env.Program != "v1.2.3" {
		t.Fatalf("%+v, made %v: %v", env, made, err)
	}
	if got := left(t, o); got != "trl trl.lock" {
		t.Errorf("beside the environment lie %s", got)
	}
	python := trainerenv.Interpreter(o.Folder)
	for _, args := range [][]string{
		{python, "-c", "import tiny, tunebus_trainer, importlib.metadata as m; assert m.version('tunebus-trainer') == '" + trainers.Version() + "'"},
		{filepath.Join(o.Folder, "bin", "pip"), "--version"},
	} {
		if _, err := os.Stat(args[0]); err != nil && filepath.Base(args[0]) == "pip" {
			continue // uv puts none into its environments
		}
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Errorf("%q: %v\n%s", args, err, out)
		}
	}
	if s := Look(o.Folder, o.Engine); !s.IsCurrent() {
		t.Errorf("it is %s: %s", s.Condition, s.Why)
	}
	if _, made, err := Install(t.Context(), o); err != nil || made {
		t.Errorf("the second time: made %v, %v", made, err)
	}
	env.Lock = "sha256:old"
	if err := trainerenv.Finish(env); err != nil {
		t.Fatal(err)
	}
	if s := Look(o.Folder, o.Engine); s.Condition != Stale || !s.IsUsable() {
		t.Errorf("with another lock it is %s", s.Condition)
	}
	o.Unlocked = true
	env, made, err = Install(t.Context(), o)
	if err != nil || !made || env.Lock != "" || Look(o.Folder, o.Engine).Condition != Newest {
		t.Errorf("made anew with the newest versions: %+v, %v", env, err)
	}
}

// TestFaults: each failure is a sentence with what to do, and leaves nothing that could be
// taken for an environment.
func TestFaults(t *testing.T) {
	t.Parallel()
	i := newIndex(t)
	script := func(text string) string {
		path := filepath.Join(t.TempDir(), "python3")
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	occupied := func(o *Options) {
		if err := os.MkdirAll(filepath.Join(o.Folder, "mine"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		change func(*Options)
		says   []string
	}{
		"another content": {
			func(o *Options) { o.requirements = "tiny==1.0 --hash=sha256:" + strings.Repeat("0", 64) + "\n" },
			[]string{"another content than the one that this program was tested with", "--unlocked"},
		},
		"no network": {
			func(o *Options) {
				o.Environ = append(o.Environ, "PIP_NO_INDEX=0", "PIP_FIND_LINKS=", "PIP_INDEX_URL=http://127.0.0.1:1/simple", "PIP_RETRIES=1",
					"UV_NO_INDEX=0", "UV_FIND_LINKS=", "UV_DEFAULT_INDEX=http://127.0.0.1:1/simple", "UV_HTTP_RETRIES=0")
			},
			[]string{"the packages cannot be fetched; this needs a network"},
		},
		"no Python":       {func(o *Options) { o.Python = "/nowhere/python3" }, []string{"--python /nowhere/python3: there is no such program"}},
		"an old Python":   {func(o *Options) { o.Python = script("echo 3.8.18") }, []string{"is Python 3.8.18, and trl needs one from 3.11 to 3.14"}},
		"a broken Python": {func(o *Options) { o.Python = script("echo 'no such version' >&2; exit 1") }, []string{"does not work: no such version"}},
		"no Python at all": {
			func(o *Options) { o.Python = script("echo hello") }, []string{"is no Python", `"hello\n"`},
		},
		"a full disk":        {func(o *Options) { o.Engine.Bytes = 1 << 60 }, []string{"GB while it is made", "GB free; make room, or name another place with --into"}},
		"something is there": {occupied, []string{"holds something that is no environment of tunebus"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options(t, i)
			c.change(&o)
			_, made, err := Install(t.Context(), o)
			if err == nil || made {
				t.Fatal("it is made")
			}
			for _, says := range c.says {
				if !strings.Contains(err.Error(), says) {
					t.Errorf("no %q in: %v", says, err)
				}
			}
			if s := Look(o.Folder, o.Engine); s.Condition != Missing {
				t.Errorf("it is %s", s.Condition)
			}
			if got, _ := filepath.Glob(o.Folder + ".partial*"); len(got) > 0 {
				t.Errorf("left: %v", got)
			}
		})
	}
}

// TestInterrupted: what a stop or a kill leaves is no environment, and the next call makes
// one. Two processes do not make one at once.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	o := options(t, newIndex(t))
	ctx, cancel := context.WithCancelCause(t.Context())
	stopped := errors.New("Ctrl-C")
	o.check = func(context.Context, string) (map[string]string, error) {
		if s := Look(o.Folder, o.Engine); s.Condition != HalfMade || s.IsUsable() {
			t.Errorf("while it is made it is %s", s.Condition)
		}
		if _, _, err := Install(t.Context(), o); !errors.Is(err, ErrBusy) && !errors.Is(filelock.TryLock(os.Stdin), filelock.ErrUnsupported) {
			t.Errorf("a second process: %v", err)
		}
		cancel(stopped)
		return nil, errors.New("no torch")
	}
	if _, made, err := Install(ctx, o); !errors.Is(err, stopped) || made {
		t.Errorf("made %v: %v", made, err)
	}
	if got := left(t, o); got != "trl.lock" {
		t.Errorf("left: %s", got)
	}
	o.check = func(context.Context, string) (map[string]string, error) { return nil, errors.New("no torch") }
	_, _, err := Install(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), "the trainer does not work in the new environment, which was removed: no torch") {
		t.Errorf("a trainer that fails: %v", err)
	}
	// A process that is killed removes nothing.
	if err := os.MkdirAll(filepath.Join(o.Folder+".partial", "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	o.check = func(context.Context, string) (map[string]string, error) { return nil, nil }
	if _, made, err := Install(t.Context(), o); err != nil || !made {
		t.Errorf("after a kill: made %v, %v", made, err)
	}
	if got := left(t, o); got != "trl trl.lock" {
		t.Errorf("left: %s", got)
	}
}

// TestDiagnose: what uv, pip and venv say becomes a sentence.
func TestDiagnose(t *testing.T) {
	t.Parallel()
	for output, says := range map[string]string{
		"ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device":                                                         "the disk is full",
		"error: Failed to write to the client cache\n  Caused by: failed to write\n  (os error 28)":                                                       "the disk is full",
		"The virtual environment was not created successfully because ensurepip is not available.":                                                        "python3-venv",
		"error: Failed to fetch: `https://host/simple/torch/`\n  Caused by: dns error":                                                                    "needs a network",
		"error: Hash mismatch for `tiny==1.0`":                                                                                                            "another content",
		"ERROR: No matching distribution found for tiny==2.0":                                                                                             "does not have a package in the version",
		"ERROR: Could not find a version that satisfies the requirement tiny==2 (from versions: none)\nERROR: No matching distribution found for tiny==2": "cannot be reached, or does not have a package at all",
		"ERROR: Could not find a version that satisfies the requirement tiny==2 (from versions: 1.0, 1.1)":                                                "does not have a package in the version",
		"something else": "pip ended with status 1, and the environment was not made",
	} {
		err := diagnose("pip", supervisor.Exit{Status: 1}, output)
		if !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "the last lines of pip") {
			t.Errorf("%q becomes: %v", output, err)
		}
	}
}

// TestProgress: large packages are named, with how many are behind and before them.
func TestProgress(t *testing.T) {
	t.Parallel()
	var said []string
	p := newProgress(2, func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) })
	for _, line := range []string{
		"Collecting tqdm==4.70.1 (from -r list (line 1))", "  Downloading tqdm-4.70.1-py3-none-any.whl (78 kB)",
		"Collecting torch==2.15.0", "  Downloading torch-2.15.0-cp311-cp311-manylinux_2_28_x86_64.whl (530.2 MB)", "Downloading triton (290.1MiB)",
		"Installing collected packages: tqdm, torch",
	} {
		p.line(line)
	}
	want := "package 2 of 2: fetching torch, 530.2 MB|package 2 of 2: fetching triton, 290.1 MiB|all packages are here; putting them into the environment"
	if got := strings.Join(said, "|"); got != want {
		t.Errorf("it says %s", got)
	}
	if n := packages("numpy==1 ; python < '3'\nnumpy==2\n    --hash=sha256:00\n# torch\ntqdm\n"); n != 2 {
		t.Errorf("%d packages", n)
	}
}
