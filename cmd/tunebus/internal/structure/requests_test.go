package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The packages of the client library of NATS.
const (
	natsPackage      = "github.com/nats-io/nats.go"
	jetStreamPackage = natsPackage + "/jetstream"
)

// outsideRequests are the calls of the client library that packages below
// pipeline/bus may make outside of conn.Conn.Request, because nothing is asked
// of the server by them or nobody waits for an answer. The value is the package
// that alone may make the call; empty: every one.
var outsideRequests = map[string]string{
	// The connection itself. Connect has a limit of its own for each server,
	// and the caller waits between two tries.
	"nats.Connect":                   "conn",
	"nats.Conn.Close":                "conn",
	"nats.Conn.FlushTimeout":         "conn", // of Close, 2 s
	"nats.Conn.ConnectedClusterName": "conn",
	"nats.Conn.ConnectedUrl":         "conn",
	"nats.Conn.IsConnected":          "conn",
	"nats.Conn.NewInbox":             "conn",
	"nats.Conn.SetErrorHandler":      "conn",
	"nats.Conn.SetReconnectHandler":  "conn",
	"jetstream.New":                  "conn",
	"nats.NkeyOptionFromSeed":        "conn",
	// Sends and waits for nothing. Acks of idempotent handlers, heartbeats, pull
	// requests and metric points go through conn.Conn.Send; what a consumer
	// delivers comes to a subscription of delivery, which the heartbeats of the
	// server bound. RequestMany waits for its replies with the limit of its kind.
	"nats.Conn.PublishMsg":          "conn",
	"nats.Conn.PublishRequest":      "conn",
	"nats.Conn.Subscribe":           "conn",
	"nats.Conn.ChanSubscribe":       "conn",
	"nats.Subscription.Unsubscribe": "",
	// Works on what is here.
	"nats.Msg.Metadata":                 "",
	"nats.Msg.Size":                     "",
	"nats.NewMsg":                       "",
	"nats.DecodeHeadersMsg":             "",
	"nats.Header.Get":                   "",
	"nats.Header.Set":                   "",
	"jetstream.JetStreamError.APIError": "",
}

// options are functions of the client library that only make a value.
func isOption(f *types.Func) bool {
	results := f.Signature().Results()
	if results.Len() != 1 {
		return false
	}
	named, ok := results.At(0).Type().(*types.Named)
	return ok && strings.HasSuffix(named.Obj().Name(), "Opt") || ok && named.Obj().Name() == "Option"
}

// checkedPackage is a package with its types.
type checkedPackage struct {
	dir   string
	files []*ast.File
	info  *types.Info
	set   *token.FileSet
}

// checkTypes reads the packages that match a pattern in a module, with types.
func checkTypes(t *testing.T, module, pattern string) (out []checkedPackage) {
	t.Helper()
	c := exec.CommandContext(t.Context(), "go", "list", "-export", "-deps", "-json=ImportPath,Dir,GoFiles,Export,DepOnly", pattern)
	c.Dir = filepath.Join(root, module)
	c.Stderr = os.Stderr
	listed, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	type listing struct {
		ImportPath, Dir, Export string
		GoFiles                 []string
		DepOnly                 bool
	}
	exports := map[string]string{}
	var wanted []listing
	for d := json.NewDecoder(strings.NewReader(string(listed))); ; {
		var p listing
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		exports[p.ImportPath] = p.Export
		if !p.DepOnly {
			wanted = append(wanted, p)
		}
	}
	set := token.NewFileSet()
	imports := importer.ForCompiler(set, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	for _, p := range wanted {
		one := checkedPackage{dir: p.Dir, set: set, info: &types.Info{Uses: map[*ast.Ident]types.Object{}, Types: map[ast.Expr]types.TypeAndValue{}}}
		for _, name := range p.GoFiles {
			f, err := parser.ParseFile(set, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			one.files = append(one.files, f)
		}
		cfg := types.Config{Importer: imports}
		if _, err := cfg.Check(p.ImportPath, set, one.files, one.info); err != nil {
			t.Fatal(err)
		}
		out = append(out, one)
	}
	return out
}

// callee is the function or method of the client library that a call calls; nil
// if it is of another package.
func (p checkedPackage) callee(call *ast.CallExpr) *types.Func {
	var id *ast.Ident
	switch fun := ast.Unparen(call.Fun).(type) {
	case *ast.Ident:
		id = fun
	case *ast.SelectorExpr:
		id = fun.Sel
	default:
		return nil
	}
	f, ok := p.info.Uses[id].(*types.Func)
	if !ok || f.Pkg() == nil || f.Pkg().Path() != natsPackage && f.Pkg().Path() != jetStreamPackage {
		return nil
	}
	return f
}

// libraryName is how a function is called here: package, type and name.
func libraryName(f *types.Func) string {
	name := f.Name()
	if recv := f.Signature().Recv(); recv != nil {
		typ := recv.Type()
		if p, ok := typ.(*types.Pointer); ok {
			typ = p.Elem()
		}
		if named, ok := typ.(*types.Named); ok {
			name = named.Obj().Name() + "." + name
		}
	}
	return f.Pkg().Name() + "." + name
}

// isRequestBody reports whether a function literal is what conn.Conn.Request
// calls: only a connection has a JetStream to call it with.
func (p checkedPackage) isRequestBody(lit *ast.FuncLit) bool {
	sig, ok := p.info.Types[lit].Type.(*types.Signature)
	if !ok || sig.Params().Len() != 2 {
		return false
	}
	return sig.Params().At(0).Type().String() == "context.Context" && sig.Params().At(1).Type().String() == jetStreamPackage+".JetStream"
}

// requestFaults are the calls of a package that ask the server past conn.
func (p checkedPackage) requestFaults() (faults []string) {
	name := filepath.Base(p.dir)
	look := func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			return !p.isRequestBody(n)
		case *ast.CallExpr:
			f := p.callee(n)
			if f == nil || isOption(f) {
				return true
			}
			called := libraryName(f)
			if only, ok := outsideRequests[called]; !ok || only != "" && only != name {
				faults = append(faults, fmt.Sprintf("%s: %s is called outside of conn.Conn.Request", p.set.Position(n.Pos()), called))
			}
		}
		return true
	}
	for _, f := range p.files {
		ast.Inspect(f, look)
	}
	return faults
}

// TestRequestsHaveALimit holds that nobody asks the server but through
// conn.Conn.Request and RequestMany, which end each request after the limit of
// its kind. The import table holds that only pipeline/bus can ask.
func TestRequestsHaveALimit(t *testing.T) {
	t.Parallel()
	packages := checkTypes(t, "pipeline", "./bus/...")
	if len(packages) < 10 {
		t.Fatalf("%d packages", len(packages))
	}
	for _, p := range packages {
		for _, fault := range p.requestFaults() {
			t.Error(fault)
		}
	}
}
