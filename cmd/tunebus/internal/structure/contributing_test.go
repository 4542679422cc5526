package main

import (
	"context"
	"go/ast"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// CONTRIBUTING.md has three kinds of blocks: ```bash is run here, in the
// checkout; ```sh is run by the tests of the manual, in a scratch folder with
// the program on its path; ```console is only shown.
const contributing = "CONTRIBUTING.md"

// plainWords are the words in code type that are neither files nor identifiers.
var plainWords = []string{
	"GOEXPERIMENT=simd", "failpoint", // of the Go tool
	"--verbose", "--json", // flags
	"engine",  // a key of the specification
	"TUNEBUS", // a stream
	"events: reject an empty run id",
}

// declared are the identifiers of all packages, as package.Name and
// package.Type.Member. Those of external tests count as the package's.
func declared(t *testing.T) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	eachFile(t, func(f file) {
		prefix := strings.TrimSuffix(f.syntax.Name.Name, "_test") + "."
		for _, d := range f.syntax.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				name := d.Name.Name
				if d.Recv != nil && len(d.Recv.List) == 1 {
					name = baseName(d.Recv.List[0].Type) + "." + name
				}
				all[prefix+name] = true
			case *ast.GenDecl:
				for _, s := range d.Specs {
					for _, name := range declaredBy(s) {
						all[prefix+name] = true
					}
				}
			}
		}
	})
	return all
}

func declaredBy(s ast.Spec) (names []string) {
	switch s := s.(type) {
	case *ast.ValueSpec:
		for _, n := range s.Names {
			names = append(names, n.Name)
		}
	case *ast.TypeSpec:
		names = append(names, s.Name.Name)
		var members *ast.FieldList
		switch t := s.Type.(type) {
		case *ast.StructType:
			members = t.Fields
		case *ast.InterfaceType:
			members = t.Methods
		default:
			return names
		}
		for _, m := range members.List {
			for _, n := range m.Names {
				names = append(names, s.Name.Name+"."+n.Name)
			}
		}
	}
	return names
}

// TestContributingNamesWhatExists holds that every file, identifier and target
// of make that CONTRIBUTING.md names is there.
func TestContributingNamesWhatExists(t *testing.T) {
	t.Parallel()
	text := content(t, contributing)
	blocks := regexp.MustCompile("(?ms)^```.*?^```$")
	known := declared(t)
	makefile := content(t, "Makefile")
	target := func(name string) bool {
		return regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + `:`).MatchString(makefile)
	}
	for _, m := range regexp.MustCompile("`([^`\n]+)`").FindAllStringSubmatch(blocks.ReplaceAllString(text, ""), -1) {
		name := m[1]
		if words := strings.Fields(name); words[0] == "make" && len(words) > 1 && target(words[1]) {
			continue
		}
		if strings.HasPrefix(name, "tunebus ") {
			continue // the tests of the manual look for the command
		}
		files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil || len(files) == 0 && !known[name] && !slices.Contains(plainWords, name) {
			t.Errorf("%s: %s is no file, no package.Name and no target of make", contributing, m[0])
		}
	}
	for _, block := range blocks.FindAllString(text, -1) {
		for _, m := range regexp.MustCompile(`(?m)^make ([a-z-]+)`).FindAllStringSubmatch(block, -1) {
			if !target(m[1]) {
				t.Errorf("%s: there is no target %s", contributing, m[1])
			}
		}
	}
}

// TestContributingCommands runs the commands of CONTRIBUTING.md.
func TestContributingCommands(t *testing.T) {
	t.Parallel()
	blocks := regexp.MustCompile("(?ms)^```bash\n(.*?)^```$").FindAllStringSubmatch(content(t, contributing), -1)
	if len(blocks) == 0 {
		t.Fatal("it has no commands")
	}
	for _, m := range blocks {
		first, _, _ := strings.Cut(m[1], "\n")
		t.Run(first, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			c := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", m[1])
			c.Dir = root
			// As the Makefile sets them, so that what it built is used again.
			c.Env = append(os.Environ(), "GOEXPERIMENT=simd", "CGO_ENABLED=0", "GOFLAGS=-tags=disable_grpc_modules", "SCRATCH="+t.TempDir())
			c.WaitDelay = 5 * time.Second
			if out, err := c.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
