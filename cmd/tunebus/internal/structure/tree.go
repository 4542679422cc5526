package main

import (
	"bytes"
	"cmp"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// module is the prefix of the import paths of this repository. The rest of a
// path is the folder.
const module = "github.com/tunebus/tunebus/"

// pkg is one package: its production code, and how much there is to test it.
type pkg struct {
	dir          string // relative to the tree, with slashes
	name         string
	lines, files int
	types        map[string]*typ
	imports      map[string]bool // all import paths

	testLines, testFiles int
	generatedLines       int
}

// typ is a type that has methods, or embeds a type that does.
type typ struct {
	methods map[string]bool
	embeds  []string // types of the same package
}

// file is a parsed Go file.
type file struct {
	path   string // relative to the tree, with slashes
	syntax *ast.File
	lines  int
}

func (f file) dir() string { return filepath.ToSlash(filepath.Dir(f.path)) }

func (f file) isTest() bool { return strings.HasSuffix(f.path, "_test.go") }

// imports are the paths that the file imports.
func (f file) imports() []string {
	var paths []string
	for _, i := range f.syntax.Imports {
		paths = append(paths, strings.Trim(i.Path.Value, `"`))
	}
	return paths
}

// walk calls do with every Go file below tree, but for those that the Go tool
// ignores.
func walk(tree string, do func(file)) error {
	return filepath.WalkDir(tree, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		switch {
		case d.IsDir() && path != tree && (strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata"):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, ".go"):
			return nil
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		syntax, err := parser.ParseFile(token.NewFileSet(), path, source, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(tree, path)
		if err == nil {
			do(file{path: filepath.ToSlash(rel), syntax: syntax, lines: bytes.Count(source, []byte("\n"))})
		}
		return err
	})
}

// read measures all packages below tree, sorted by folder.
func read(tree string) ([]*pkg, error) {
	byDir := map[string]*pkg{}
	err := walk(tree, func(f file) {
		p := byDir[f.dir()]
		if p == nil {
			p = &pkg{dir: f.dir(), types: map[string]*typ{}, imports: map[string]bool{}}
			byDir[p.dir] = p
		}
		p.add(f)
	})
	return slices.SortedFunc(maps.Values(byDir), func(a, b *pkg) int { return cmp.Compare(a.dir, b.dir) }), err
}

func (p *pkg) add(f file) {
	switch {
	case f.isTest():
		p.testFiles++
		p.testLines += f.lines
		return
	case ast.IsGenerated(f.syntax):
		p.generatedLines += f.lines
		return
	}
	p.name = f.syntax.Name.Name
	p.files++
	p.lines += f.lines
	for _, path := range f.imports() {
		p.imports[path] = true
	}
	for _, d := range f.syntax.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv != nil && len(d.Recv.List) == 1 {
				p.typeOf(baseName(d.Recv.List[0].Type)).methods[d.Name.Name] = true
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				if t, ok := s.(*ast.TypeSpec); ok {
					p.typeOf(t.Name.Name).declare(t.Type)
				}
			}
		}
	}
}

func (p *pkg) typeOf(name string) *typ {
	if p.types[name] == nil {
		p.types[name] = &typ{methods: map[string]bool{}}
	}
	return p.types[name]
}

// declare adds the methods of an interface, or the types that a struct embeds.
func (t *typ) declare(expr ast.Expr) {
	switch expr := expr.(type) {
	case *ast.InterfaceType:
		for _, m := range expr.Methods.List {
			for _, name := range m.Names {
				t.methods[name.Name] = true
			}
		}
	case *ast.StructType:
		for _, f := range expr.Fields.List {
			if len(f.Names) == 0 {
				t.embeds = append(t.embeds, baseName(f.Type))
			}
		}
	}
}

// baseName is the name of the type of a receiver or an embedded field; empty
// for one of another package.
func baseName(expr ast.Expr) string {
	switch expr := expr.(type) {
	case *ast.Ident:
		return expr.Name
	case *ast.StarExpr:
		return baseName(expr.X)
	case *ast.ParenExpr:
		return baseName(expr.X)
	case *ast.IndexExpr:
		return baseName(expr.X)
	case *ast.IndexListExpr:
		return baseName(expr.X)
	default:
		return ""
	}
}

// methods counts the methods of a type, unexported ones included. Those of
// embedded types of the same package count, so that embedding is no way
// around the limit.
func (p *pkg) methods(name string) int {
	all := map[string]bool{}
	seen := map[string]bool{}
	var add func(name string)
	add = func(name string) {
		t := p.types[name]
		if t == nil || seen[name] {
			return
		}
		seen[name] = true
		for m := range t.methods {
			all[m] = true
		}
		for _, e := range t.embeds {
			add(e)
		}
	}
	add(name)
	return len(all)
}

// ours are the folders of this repository that the package imports, sorted.
func (p *pkg) ours() []string {
	var dirs []string
	for path := range p.imports {
		if dir, ok := strings.CutPrefix(path, module); ok {
			dirs = append(dirs, dir)
		}
	}
	slices.Sort(dirs)
	return dirs
}
