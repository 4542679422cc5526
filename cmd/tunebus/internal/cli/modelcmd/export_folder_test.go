package modelcmd_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
)

// TestExportKeepsChanges: a file that an export wrote and a person changed is not replaced, with --force
// neither; once it is moved away, the next export is written.
func TestExportKeepsChanges(t *testing.T) {
	t.Parallel()
	f := folder(t, tuned{id: "r", base: "owner/name", full: true})
	to := filepath.Join(t.TempDir(), "to")
	export := func(args ...string) (int, string, string) {
		return clitest.Run(t, append([]string{"export", "r", to, "--data", f.Dir, "--force"}, args...)...)
	}
	if status, _, screen := export(); status != 0 {
		t.Fatalf("status %d\n%s", status, screen)
	}
	for _, name := range []string{"README.md", "config.json"} {
		clitest.Write(t, to, name, "mine")
		weights, err := os.Stat(filepath.Join(to, "model.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{nil, {"--artifact", "model"}} {
			if name == "README.md" && args != nil { // no file of the artifact
				continue
			}
			status, out, screen := export(args...)
			if status != 2 || out != "" || !strings.Contains(screen, to+": "+name+" changed since an export wrote it") || !strings.Contains(screen, "move it away, or name another folder") {
				t.Errorf("%s: status %d\n%s%s", name, status, out, screen)
			}
		}
		if strings.TrimSpace(clitest.Text(t, filepath.Join(to, name))) != "mine" {
			t.Errorf("%s was replaced", name)
		}
		if now, err := os.Stat(filepath.Join(to, "model.safetensors")); err != nil || !os.SameFile(now, weights) {
			t.Errorf("a refusal replaced the weights: %v", err)
		}
		if err := os.Rename(filepath.Join(to, name), filepath.Join(t.TempDir(), name)); err != nil {
			t.Fatal(err)
		}
		if status, _, screen := export(); status != 0 {
			t.Errorf("without %s: status %d\n%s", name, status, screen)
		}
	}
	if left, err := os.ReadDir(filepath.Dir(to)); err != nil || len(left) != 1 {
		t.Errorf("left %v, %v", left, err)
	}
}

// TestExportKeepsTheFolder: an empty folder that is there is written to, also behind a link, and stays the
// one that it is. What a killed export left in it is nothing. A link to nothing is refused.
func TestExportKeepsTheFolder(t *testing.T) {
	t.Parallel()
	f := folder(t, tuned{id: "r", base: "owner/name", full: true})
	dir := t.TempDir()
	private, linked, link, dangling := filepath.Join(dir, "private"), filepath.Join(dir, "linked"), filepath.Join(dir, "link"), filepath.Join(dir, "dangling")
	for _, folder := range []string{private, linked, filepath.Join(linked, ".export-1")} {
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for from, to := range map[string]string{link: linked, dangling: "/nowhere"} {
		if err := os.Symlink(to, from); err != nil {
			t.Fatal(err)
		}
	}
	before, err := os.Stat(private)
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{private, link} {
		if status, out, screen := clitest.Run(t, "export", "r", to, "--data", f.Dir); status != 0 || !strings.Contains(out, to+": ") {
			t.Errorf("%s: status %d\n%s%s", to, status, out, screen)
		}
		if status, _, screen := clitest.Run(t, "export", "r", to, "--data", f.Dir, "--artifact", "wandb"); status != 2 || !strings.Contains(screen, "is not empty") {
			t.Errorf("%s: status %d\n%s", to, status, screen)
		}
	}
	if after, err := os.Stat(private); err != nil || !os.SameFile(before, after) || after.Mode().Perm() != 0o700 {
		t.Errorf("the folder is another one, or of another mode: %v, %v", after, err)
	}
	if to, err := os.Readlink(link); err != nil || to != linked {
		t.Errorf("the link is %q, %v", to, err)
	}
	for _, name := range []string{"config.json", "model.safetensors"} {
		if _, err := os.Stat(filepath.Join(linked, name)); err != nil {
			t.Error(err)
		}
	}
	for _, args := range [][]string{nil, {"--force"}, {"--artifact", "wandb"}} {
		status, out, screen := clitest.Run(t, append([]string{"export", "r", dangling, "--data", f.Dir}, args...)...)
		if status != 2 || out != "" || !strings.Contains(screen, dangling+" cannot be written: it is a link to /nowhere, where nothing is") {
			t.Errorf("%v: status %d\n%s%s", args, status, out, screen)
		}
	}
	if to, err := os.Readlink(dangling); err != nil || to != "/nowhere" {
		t.Errorf("the link to nothing is %q, %v", to, err)
	}
}

// TestExportThroughALink: a link does not lead an export among the files of runs.
func TestExportThroughALink(t *testing.T) {
	t.Parallel()
	f := folder(t, tuned{id: "r", base: "owner/name", full: true})
	inside, link := filepath.Join(f.Dir, "artifacts", "mine"), filepath.Join(t.TempDir(), "link")
	if err := os.MkdirAll(inside, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(inside, link); err != nil {
		t.Fatal(err)
	}
	if status, _, screen := clitest.Run(t, "export", "r", link, "--data", f.Dir); status != 2 || !strings.Contains(screen, "is a data folder of runs") {
		t.Errorf("status %d\n%s", status, screen)
	}
}

// TestExportNamesAFolderInALine: the name of a folder or file begins no line of its own.
func TestExportNamesAFolderInALine(t *testing.T) {
	t.Parallel()
	f := folder(t, tuned{id: "r", base: "owner/name", full: true})
	to := filepath.Join(t.TempDir(), "to\nforged")
	if err := os.Mkdir(to, 0o700); err != nil {
		t.Fatal(err)
	}
	clitest.Write(t, to, "a\nforged.bin", "mine")
	for want, args := range map[string][]string{`to\nforged is not empty`: nil, `to\nforged: the whole model`: {"--force"}, `a\nforged.bin stays`: {"--force"}} {
		_, out, screen := clitest.Run(t, append([]string{"export", "r", to, "--data", f.Dir}, args...)...)
		if !strings.Contains(out+screen, want) || strings.Contains("\n"+out+"\n"+screen, "\nforged") {
			t.Errorf("want %q\n%s%s", want, out, screen)
		}
	}
}
