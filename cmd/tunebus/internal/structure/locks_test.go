package main

import (
	"go/ast"
	"slices"
	"strings"
	"testing"
)

// underLock are the functions that may call something with a context while they
// hold a mutex, with the reason.
var underLock = map[string]string{
	"services/tracker/report/runlist/buffer.go": "the list is a file of the reports' folder; nobody else waits for the lock but who writes it",
	"services/tracker/report/runlist/list.go":   "the lock of a folder on this machine",
}

// TestNothingIsAskedUnderALock holds that no production code calls anything
// with a context between Lock and Unlock of a mutex. Whatever takes a context
// may wait for the network, and everybody who needs the lock would wait with it:
// once a checkpoint was saved under a lock that the watch of the ownership
// needed, and one lost answer held the worker for days.
func TestNothingIsAskedUnderALock(t *testing.T) {
	t.Parallel()
	needed := map[string]bool{}
	eachFile(t, func(f file) {
		if f.isTest() {
			return
		}
		for _, called := range calledUnderLock(f) {
			needed[f.path] = true
			if underLock[f.path] == "" {
				t.Errorf("%s: %s is called with a context while a lock is held", f.path, called)
			}
		}
	})
	for path := range underLock {
		if !needed[path] {
			t.Errorf("%s calls nothing under a lock: remove it from the exceptions", path)
		}
	}
}

// calledUnderLock are the calls with a context that a file makes under a lock.
// It looks at the statements of each block one after the other; a deferred
// Unlock ends with the function.
func calledUnderLock(f file) (calls []string) {
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		body, ok := n.(*ast.BlockStmt)
		if !ok {
			return true
		}
		held := false
		for _, s := range body.List {
			switch {
			case isCallOf(s, "Lock", "RLock"):
				held = true
			case isCallOf(s, "Unlock", "RUnlock"):
				held = false
			case held:
				calls = append(calls, callsWithContext(s)...)
			}
		}
		return true
	})
	slices.Sort(calls)
	return slices.Compact(calls)
}

// isCallOf reports whether a statement is a call of a method of one of the
// names. A deferred call is none.
func isCallOf(s ast.Stmt, names ...string) bool {
	e, ok := s.(*ast.ExprStmt)
	if !ok {
		return false
	}
	call, ok := e.X.(*ast.CallExpr)
	if !ok || len(call.Args) > 0 {
		return false
	}
	sel, ok := call.Fun.(*ast.SelectorExpr)
	return ok && slices.Contains(names, sel.Sel.Name)
}

// callsWithContext are the calls below a node that are given a context, but for
// those that write to the log. What a goroutine does is not done under the lock.
func callsWithContext(n ast.Node) (calls []string) {
	ast.Inspect(n, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			return false
		case *ast.CallExpr:
			name := callName(n.Fun)
			isLog := strings.HasSuffix(name, "Context") || name == "Log"
			if !isLog && slices.ContainsFunc(n.Args, isContext) {
				calls = append(calls, name)
			}
		}
		return true
	})
	return calls
}

func callName(fun ast.Expr) string {
	switch fun := fun.(type) {
	case *ast.Ident:
		return fun.Name
	case *ast.SelectorExpr:
		return fun.Sel.Name
	}
	return ""
}

// isContext reports whether an argument is a context, by its name or by the
// package that makes it.
func isContext(arg ast.Expr) bool {
	switch arg := arg.(type) {
	case *ast.Ident:
		return arg.Name == "ctx" || strings.HasSuffix(arg.Name, "Ctx")
	case *ast.SelectorExpr:
		return arg.Sel.Name == "ctx" || strings.HasSuffix(arg.Sel.Name, "Ctx")
	case *ast.CallExpr:
		sel, ok := arg.Fun.(*ast.SelectorExpr)
		if !ok {
			return false
		}
		x, ok := sel.X.(*ast.Ident)
		return ok && x.Name == "context"
	}
	return false
}

// TestCalledUnderLock holds what the test above finds.
func TestCalledUnderLock(t *testing.T) {
	t.Parallel()
	got := calledUnderLock(parse(t, "p/p.go", `package p

func deferred(ctx context.Context) {
	before(ctx)
	m.mu.Lock()
	defer m.mu.Unlock()
	if one(ctx) {
		two(context.Background())
	}
	log.WarnContext(ctx, "text")
	go other(ctx)
}

func between(graceCtx context.Context) {
	mu.Lock()
	three(graceCtx)
	plain()
	mu.Unlock()
	behind(graceCtx)
}
`))
	if want := []string{"one", "three", "two"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
