package main

import (
	"go/ast"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/events"
)

var (
	codeBlock = regexp.MustCompile("(?ms)^```.*?^```$") // a fenced block
	codeWord  = regexp.MustCompile("`([^`\n]+)`")       // a word in code type
	// fileAndName is a Go file, and directly behind it an identifier that it
	// declares.
	fileAndName = regexp.MustCompile("`([^`\n]+\\.go)` `([^`\n]+)`")
)

// names are what a document may name in code type.
type names struct {
	// inPackage has the identifiers of all packages, as package.Name and
	// package.Type.Member. Those of external tests count as the package's.
	inPackage map[string]bool
	// inFile has the identifiers of each file, as Name and Type.Member.
	inFile   map[string]map[string]bool
	events   map[string]bool // wire names
	makefile string
}

func readNames(t *testing.T) names {
	t.Helper()
	n := names{inPackage: map[string]bool{}, inFile: map[string]map[string]bool{}, events: wireNames(), makefile: content(t, "Makefile")}
	eachFile(t, func(f file) {
		prefix := strings.TrimSuffix(f.syntax.Name.Name, "_test") + "."
		n.inFile[f.path] = map[string]bool{}
		for _, name := range declaredIn(f) {
			n.inPackage[prefix+name] = true
			n.inFile[f.path][name] = true
		}
	})
	return n
}

// declaredIn are the identifiers that a file declares, as Name and Type.Member.
func declaredIn(f file) (all []string) {
	for _, d := range f.syntax.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			name := d.Name.Name
			if d.Recv != nil && len(d.Recv.List) == 1 {
				name = baseName(d.Recv.List[0].Type) + "." + name
			}
			all = append(all, name)
		case *ast.GenDecl:
			for _, s := range d.Specs {
				all = append(all, declaredBy(s)...)
			}
		}
	}
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

// wireNames are the wire names of all events. Those of phases are there once
// more with <phase> for the phase.
func wireNames() map[string]bool {
	all := map[string]bool{events.TypePipelineRequested: true}
	for _, subject := range slices.Concat(events.FactSubjects(), events.MetricSubjects(), events.LogSubjects()) {
		stage, rest, _ := strings.Cut(subject, ".")
		event, _, _ := strings.Cut(rest, ".")
		all[stage+"."+event] = true
		if events.Phase(stage).Valid() {
			all["<phase>."+event] = true
		}
	}
	return all
}

// isTarget reports whether the Makefile has a target.
func (n names) isTarget(name string) bool {
	return regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + `:`).MatchString(n.makefile)
}

// has reports whether a word in code type names something that exists: a file
// or a folder, an identifier, an event, or a command of make. The tests of the
// manual look for the commands of tunebus.
func (n names) has(word string) bool {
	if words := strings.Fields(word); words[0] == "make" && len(words) > 1 && n.isTarget(words[1]) {
		return true
	}
	if strings.HasPrefix(word, "tunebus ") || n.inPackage[word] || n.events[word] {
		return true
	}
	files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(word)))
	return err == nil && len(files) > 0
}

// unknown are the words in code type of a text in Markdown that name nothing
// that exists, and are none of the plain words. Fenced blocks do not count. An
// identifier directly behind a Go file has to be declared in that file.
func (n names) unknown(text string, plain []string) (words []string) {
	text = codeBlock.ReplaceAllString(text, "")
	for _, m := range fileAndName.FindAllStringSubmatch(text, -1) {
		if !n.inFile[m[1]][m[2]] {
			words = append(words, m[1]+" "+m[2])
		}
	}
	text = fileAndName.ReplaceAllString(text, "")
	for _, m := range codeWord.FindAllStringSubmatch(text, -1) {
		if !n.has(m[1]) && !slices.Contains(plain, m[1]) {
			words = append(words, m[1])
		}
	}
	return words
}

// TestNamesOfDocuments holds that the documents for people who change the code
// name only what exists.
func TestNamesOfDocuments(t *testing.T) {
	t.Parallel()
	known := readNames(t)
	for document, plain := range map[string][]string{contributing: contributingWords, architecture: nil} {
		for _, word := range known.unknown(content(t, document), plain) {
			t.Errorf("%s names %s: that is no file, no package.Name, no name that the file before it declares, no event and no target of make", document, word)
		}
	}
}

// TestUnknown holds what counts as a name.
func TestUnknown(t *testing.T) {
	t.Parallel()
	known := names{
		inPackage: map[string]bool{"p.T.Method": true},
		inFile:    map[string]map[string]bool{"p/p.go": {"T.Method": true}, "p/q.go": {"F": true}},
		events:    wireNames(),
		makefile:  "check: build\n",
	}
	text := "`p.T.Method` `p.T.method` `make check` `make all` `<phase>.started` `finetune.ended` `events/*.go` and `events/none.go` or `word`\n" +
		"`p/p.go` `T.Method`, `p/q.go` `F` and `p/q.go` `T.Method`, `p/r.go` `F`\n" +
		"```\n`p.None`\n```\n"
	want := []string{"p/q.go T.Method", "p/r.go F", "p.T.method", "make all", "finetune.ended", "events/none.go"}
	if got := known.unknown(text, []string{"word"}); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
