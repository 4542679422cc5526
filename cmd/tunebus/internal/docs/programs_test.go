package docs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// codeBlocks are the blocks of a page in a language.
func codeBlocks(t *testing.T, page, language string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root(t), "docs", page))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, m := range block.FindAllStringSubmatch(string(text), -1) {
		if m[1] == language {
			out = append(out, m[2])
		}
	}
	if len(out) == 0 {
		t.Fatalf("%s has no %s", page, language)
	}
	return out
}

const programsPage = "from-programs.md"

// inPrograms runs commands between the start and the end of the services of the
// page about programs.
func inPrograms(t *testing.T, commands string) {
	t.Helper()
	withProgram(t)
	shell := codeBlocks(t, programsPage, "sh")
	run(t, shell[0]+commands+shell[1])
}

// heredoc is a command that writes a file.
func heredoc(name, body string) string {
	return fmt.Sprintf("cat > %s <<'END_OF_FILE'\n%sEND_OF_FILE\n", name, body)
}

// TestGoProgram runs the Go program of the manual: it prints the facts of a run and
// its scores, and the faults of a request that is rejected.
func TestGoProgram(t *testing.T) {
	module, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	// It is built in this module, which pins the client.
	inPrograms(t, heredoc("main.go", codeBlocks(t, programsPage, "go")[0])+`
(cd `+module+` && HOME=`+os.Getenv("HOME")+` go build -o "$OLDPWD/program" "$OLDPWD/main.go")
`+assertProgram("./program"))
}

// TestPythonProgram runs the Python program of the manual with the interpreter that
// TUNEBUS_TEST_PYTHON names, which has nats-py. "make test-programs" makes one.
func TestPythonProgram(t *testing.T) {
	python := os.Getenv("TUNEBUS_TEST_PYTHON")
	if python == "" {
		t.Skip("TUNEBUS_TEST_PYTHON names no interpreter; \"make test-programs\" runs this test")
	}
	code := codeBlocks(t, programsPage, "python")[0]
	if n := strings.Count(code, "\n"); n > 25 {
		t.Errorf("the program has %d lines", n)
	}
	inPrograms(t, heredoc("run.py", code)+assertProgram(python+" run.py"))
}

// assertProgram runs a program with a good and a bad specification, and with one whose gate is
// missed. Its exit status is that of "tunebus run".
func assertProgram(program string) string {
	return program + ` nats://127.0.0.1:14227 spec.json > good.txt
grep -q '^pipeline.completed success' good.txt
grep -q rouge_score good.txt
test "$(grep -c completed good.txt)" = 4
echo '{"fine_tuner": {"epochs": -1}}' > bad.json
status=0
` + program + ` nats://127.0.0.1:14227 bad.json > bad.txt || status=$?
test "$status" = 2
grep -q 'fine_tuner.epochs' bad.txt
sed 's/"inferencer"/"evaluator": {"gates": {"rouge_score": 1}}, "inferencer"/' spec.json > gate.json
status=0
` + program + ` nats://127.0.0.1:14227 gate.json > gate.txt || status=$?
cat gate.txt
test "$status" = 4
`
}

// TestPhasesOneByOne publishes the requests of the page, each when the run before
// has ended.
func TestPhasesOneByOne(t *testing.T) {
	requests := strings.Split(strings.TrimSpace(codeBlocks(t, programsPage, "json")[0]), "\n")
	if len(requests) != 3 {
		t.Fatalf("%d requests", len(requests))
	}
	commands := ""
	for i, run := range []string{"tuned", "answered", "scored"} {
		commands += heredoc("request.json", requests[i]+"\n") + `"$PUBLISH" nats://127.0.0.1:14227 request.json
tunebus watch ` + run + ` --server nats://127.0.0.1:14227 --json > ` + run + `.json
test "$(grep -c '"phase":' ` + run + `.json)" = 1
`
	}
	module, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	inPrograms(t, heredoc("publish.go", publisher)+`
(cd `+module+` && HOME=`+os.Getenv("HOME")+` go build -o "$OLDPWD/publish" "$OLDPWD/publish.go")
PUBLISH=$PWD/publish
`+commands)
}

// publisher publishes a file as a request, as any NATS client does.
const publisher = `package main

import (
	"os"

	"github.com/nats-io/nats.go"
)

func main() {
	body, err := os.ReadFile(os.Args[2])
	if err != nil {
		panic(err)
	}
	nc, err := nats.Connect(os.Args[1])
	if err != nil {
		panic(err)
	}
	if _, err := nc.Request("pipeline.requested", body, nats.DefaultTimeout*5); err != nil {
		panic(err)
	}
}
`
