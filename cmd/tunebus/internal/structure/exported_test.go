package main

import (
	"go/ast"
	"strings"
	"testing"
)

// exportedIn are the exported functions of a file, without methods.
func exportedIn(f file) (names []string) {
	for _, d := range f.syntax.Decls {
		if d, ok := d.(*ast.FuncDecl); ok && d.Recv == nil && d.Name.IsExported() {
			names = append(names, d.Name.Name)
		}
	}
	return names
}

// usedBy are the names with a qualifier that a file uses, as folder.Name.
func usedBy(f file) (names []string) {
	folders := map[string][]string{}
	for _, i := range f.syntax.Imports {
		dir, ours := strings.CutPrefix(strings.Trim(i.Path.Value, `"`), module)
		if !ours {
			continue
		}
		name := dir[strings.LastIndexByte(dir, '/')+1:]
		if i.Name != nil {
			name = i.Name.Name
		}
		folders[name] = append(folders[name], dir)
	}
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok {
				for _, dir := range folders[x.Name] {
					names = append(names, dir+"."+s.Sel.Name)
				}
			}
		}
		return true
	})
	return names
}

// TestEveryExportedFunctionIsUsed holds that another package, or a test from
// outside of the package, calls each exported function. Types, constants and
// errors may be exported for what a caller may need once.
func TestEveryExportedFunctionIsUsed(t *testing.T) {
	t.Parallel()
	declared := map[string][]string{} // by folder
	used := map[string]bool{}
	eachFile(t, func(f file) {
		for _, name := range usedBy(f) {
			used[name] = true
		}
		if !f.isTest() && f.syntax.Name.Name != "main" && f.dir() != "llm" { // see exceptions
			declared[f.dir()] = append(declared[f.dir()], exportedIn(f)...)
		}
	})
	for dir, names := range declared {
		for _, name := range names {
			if !used[dir+"."+name] {
				t.Errorf("%s.%s is exported, and no other package uses it", dir, name)
			}
		}
	}
}
