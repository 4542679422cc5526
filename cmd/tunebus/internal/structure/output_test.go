package main

import (
	"go/ast"
	"slices"
	"strings"
	"testing"
)

const (
	commands = "cmd/tunebus/internal/cli"
	// renders is the only one of these packages that writes results and knows
	// --json.
	renders = commands + "/view"
)

// writers are functions and variables that write past the package view, or lead
// to a writer that does. Those without a package are methods of cobra's commands.
var writers = []string{
	"fmt.Print", "fmt.Printf", "fmt.Println", "os.Stdout", "os.Stderr", "json.NewEncoder", "tabwriter.NewWriter",
	"Printf", "Println", "PrintErr", "PrintErrf", "PrintErrln", "OutOrStdout", "OutOrStderr", "ErrOrStderr",
}

// outputFaults are the places where a file of a command writes by itself.
func outputFaults(f file) (faults []string) {
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			name := n.Sel.Name
			if x, ok := n.X.(*ast.Ident); ok {
				name = x.Name + "." + name
			}
			if slices.Contains(writers, name) || slices.Contains(writers, n.Sel.Name) && !strings.HasPrefix(name, "fmt.") {
				faults = append(faults, name)
			}
		case *ast.CallExpr:
			if x, ok := n.Fun.(*ast.Ident); ok && (x.Name == "print" || x.Name == "println") {
				faults = append(faults, x.Name)
			}
		}
		return true
	})
	return faults
}

// TestOnlyViewWrites holds that no command writes past the package view, which
// would ignore --json. The usage of a command is no result.
func TestOnlyViewWrites(t *testing.T) {
	t.Parallel()
	eachFile(t, func(f file) {
		if f.isTest() || !below(f.dir(), commands) || below(f.dir(), renders, commands+"/clitest", commands+"/help") {
			return
		}
		for _, name := range outputFaults(f) {
			t.Errorf("%s uses %s; have %s render what it writes", f.path, name, renders)
		}
	})
}

// TestOutputFaults holds what writes past the package view.
func TestOutputFaults(t *testing.T) {
	t.Parallel()
	f := parse(t, "p/p.go", `package p

func do(c *cobra.Command, s *session.Session) {
	var text strings.Builder
	fmt.Fprintf(&text, "%s", fmt.Sprint(1))
	s.Console.Print(view.Runs())
	fmt.Println(1)
	c.Println(1)
	s.command.Printf("")
	fmt.Fprintln(os.Stdout)
	c.OutOrStdout()
	println(1)
}
`)
	want := []string{"fmt.Println", "c.Println", "Printf", "os.Stdout", "c.OutOrStdout", "println"}
	if got := outputFaults(f); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// terminals is the only package that knows a terminal: it escapes what everybody
// writes, and makes the colours and the bars.
const terminals = renders + "/terminal"

// steeringFaults are the places where a file steers a terminal by itself.
func steeringFaults(f file) (faults []string) {
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BasicLit:
			if strings.Contains(n.Value, `\x1b`) || strings.Contains(n.Value, `\033`) || strings.Contains(n.Value, `\u001b`) {
				faults = append(faults, n.Value)
			}
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && (x.Name == "mpb" && (n.Sel.Name == "New" || n.Sel.Name == "NewWithContext")) {
				faults = append(faults, "mpb."+n.Sel.Name)
			}
		}
		return true
	})
	return faults
}

// TestOnlyOnePackageSteersTerminals holds that everything which a command writes
// goes through the writer that escapes control characters.
func TestOnlyOnePackageSteersTerminals(t *testing.T) {
	t.Parallel()
	eachFile(t, func(f file) {
		if f.isTest() || !below(f.dir(), commands) || below(f.dir(), terminals) {
			return
		}
		for _, what := range steeringFaults(f) {
			t.Errorf("%s has %s; have %s write it", f.path, what, terminals)
		}
	})
	f := parse(t, "p/p.go", "package p\n\nvar red, bars = \"\\x1b[31m\", mpb.New()\n")
	if got := steeringFaults(f); len(got) != 2 {
		t.Errorf("found %q", got)
	}
}
