package failpoint_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/pipeline/failpoint"
)

// TestAllHasEveryName: no test would reach a point that is missing in All.
func TestAllHasEveryName(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "names.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var named []string
	ast.Inspect(file, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok {
			text, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			named = append(named, text)
		}
		return true
	})
	var all []string
	for _, name := range failpoint.All() {
		all = append(all, string(name))
	}
	slices.Sort(named)
	slices.Sort(all)
	if !slices.Equal(all, named) || len(all) != len(slices.Compact(slices.Clone(all))) {
		t.Errorf("All has\n%s\nnamed are\n%s", strings.Join(all, "\n"), strings.Join(named, "\n"))
	}
}
