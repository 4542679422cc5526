package main

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// notOurs reports whether a name with a dot in a package comment is of another
// project: the library nats.go where it may be imported, or a method of
// testing.T.
func notOurs(dir, name string) bool {
	return name == "nats.go" && below(dir, onlyIn["github.com/nats-io/nats.go"]...) || strings.HasPrefix(name, "t.")
}

var (
	goFile   = regexp.MustCompile(`[a-z][\w/]*\.go\b`)
	docLink  = regexp.MustCompile(`\[\*?([A-Za-z]\w*(?:\.[A-Za-z]\w*)*)\]`)
	dotted   = regexp.MustCompile(`\b([A-Za-z]\w*)\.([A-Z]\w*)(?:\.([A-Z]\w*))?`)
	argument = regexp.MustCompile(`[(,] ?(\w+) (?:\*|\[\])?[\w.]+`)
	assigned = regexp.MustCompile(`(\w+(?:, \w+)*) :?= `)
	declared = regexp.MustCompile(`var (\w+) `)
)

// declarations are the identifiers of the production code.
type declarations struct {
	inPackage map[string]map[string]bool // by the package's name
	inFolder  map[string]map[string]bool // by its folder
	members   map[string]map[string]bool // by the type's name in lower case
	files     map[string]bool
	others    map[string]bool // names of packages of others that the tree imports
}

func readDeclarations(t *testing.T) declarations {
	t.Helper()
	d := newDeclarations()
	eachFile(t, d.add)
	return d
}

func newDeclarations() declarations {
	return declarations{
		inPackage: map[string]map[string]bool{},
		inFolder:  map[string]map[string]bool{},
		members:   map[string]map[string]bool{},
		files:     map[string]bool{},
		others:    map[string]bool{},
	}
}

func (d declarations) add(f file) {
	d.files[f.path] = true
	if f.isTest() {
		return
	}
	for _, i := range f.syntax.Imports {
		imported := strings.Trim(i.Path.Value, `"`)
		if !strings.HasPrefix(imported, module) {
			d.others[path.Base(imported)] = true
		}
	}
	for _, name := range declaredIn(f) {
		put(d.inPackage, f.syntax.Name.Name, name)
		put(d.inFolder, f.dir(), name)
		if typ, member, ok := strings.Cut(name, "."); ok {
			put(d.members, strings.ToLower(typ), member)
		}
	}
}

func put(sets map[string]map[string]bool, key, value string) {
	if sets[key] == nil {
		sets[key] = map[string]bool{}
	}
	sets[key][value] = true
}

// isMember reports whether any type has a field or a method.
func (d declarations) isMember(name string) bool {
	for _, members := range d.members {
		if members[name] {
			return true
		}
	}
	return false
}

// unknown are the names in the comment of a package that the tree does not
// declare: Go files, links, and names with a qualifier, which is a package, a
// type, or a variable of the lines of code. A variable that these lines do not
// declare is called like its type or its package.
func (d declarations) unknown(dir, comment string) (names []string) {
	code, text := "", ""
	for line := range strings.Lines(comment) {
		if strings.HasPrefix(line, "\t") {
			code += line
		} else {
			text += line
		}
	}
	for _, name := range goFile.FindAllString(comment, -1) {
		if !d.files[name] && !d.files[path.Join(dir, name)] {
			names = append(names, name)
		}
	}
	for _, m := range docLink.FindAllStringSubmatch(text, -1) {
		if !strings.Contains(m[1], ".") && !d.inFolder[dir][m[1]] {
			names = append(names, m[1])
		}
	}
	variables := variablesOf(code) // the pattern of names with a dot finds the other links
	for _, m := range dotted.FindAllStringSubmatch(comment, -1) {
		if !d.known(dir, m[1], m[2], m[3], variables) {
			names = append(names, m[0])
		}
	}
	return slices.DeleteFunc(names, func(name string) bool { return notOurs(dir, name) })
}

// known reports whether a qualifier has a name, and the name a member, if the
// comment has one. A type of the package may have the member from a type that it
// embeds.
func (d declarations) known(dir, qualifier, name, member string, variables map[string]bool) bool {
	full := name
	if member != "" {
		full += "." + member
	}
	ofPackage := d.inPackage[qualifier]
	switch {
	case ofPackage[full], d.inFolder[dir][qualifier+"."+full], d.others[qualifier]:
		return true
	case member != "" && (ofPackage[name] || d.members[strings.ToLower(qualifier)][name]): // a field of a field
		return d.isMember(member)
	case variables[qualifier], d.inFolder[dir][qualifier]:
		return d.isMember(name)
	default:
		return d.members[strings.ToLower(qualifier)][name]
	}
}

// variablesOf are the variables that lines of code declare.
func variablesOf(code string) map[string]bool {
	found := map[string]bool{}
	for _, pattern := range []*regexp.Regexp{argument, assigned, declared} {
		for _, m := range pattern.FindAllStringSubmatch(code, -1) {
			for name := range strings.SplitSeq(m[1], ", ") {
				found[name] = true
			}
		}
	}
	return found
}

// TestNamesOfPackageComments holds that the comment of each package names only
// files and identifiers that exist.
func TestNamesOfPackageComments(t *testing.T) {
	t.Parallel()
	known := readDeclarations(t)
	eachFile(t, func(f file) {
		if f.isTest() || f.syntax.Doc == nil {
			return
		}
		for _, name := range known.unknown(f.dir(), f.syntax.Doc.Text()) {
			t.Errorf("%s: the package comment names %s, which no file declares", f.path, name)
		}
	})
}

// TestUnknownInComment holds what counts as a name in a package comment.
func TestUnknownInComment(t *testing.T) {
	t.Parallel()
	known := newDeclarations()
	known.add(parse(t, "p/p.go", "package p\n\nimport \"errors\"\n\ntype Reader struct{ Size int }\n\nfunc (Reader) Read() error { return errors.New(\"\") }\n"))
	known.add(parse(t, "q/q.go", "package q\n\nfunc Do() {}\n"))
	comment := "Package p is in p.go and p/p.go, not r.go. See [Reader], [Reader.Read], [q.Do], [Writer], [Reader.Write] and\n" +
		"q.Do, q.Undo, old.Do, errors.Is; e.g.\n\n" +
		"\tr, err := p.New()\n\tr.Read(func(m q.Message) { m.Size() })\n\tr.Write(reader.Size, s.Size)\n"
	want := []string{"r.go", "Writer", "Reader.Write", "Reader.Write", "q.Undo", "old.Do", "p.New", "q.Message", "r.Write", "s.Size"}
	got := known.unknown("p", comment)
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(slices.Compact(got), slices.Compact(want)) {
		t.Errorf("%q, want %q", got, want)
	}
}
