package docs_test

import (
	"os"
	"strings"
	"testing"
)

// TestOpenAIClient runs the program of the page about the server, with the official
// client of the interpreter that TUNEBUS_TEST_PYTHON names. It streams an answer, which is
// the one that the server gives as a whole, and meets errors as the client's own.
func TestOpenAIClient(t *testing.T) {
	python := os.Getenv("TUNEBUS_TEST_PYTHON")
	if python == "" {
		t.Skip("TUNEBUS_TEST_PYTHON names no interpreter; \"make test-programs\" runs this test")
	}
	withProgram(t)
	const page = "serve.md"
	begin, _, found := strings.Cut(codeBlocks(t, page, "sh")[0], "curl -s http")
	if !found {
		t.Fatal("the commands of the page begin in another way")
	}
	run(t, begin+heredoc("ask.py", codeBlocks(t, page, "python")[0])+heredoc("check.py", clientChecks)+
		python+` ask.py http://127.0.0.1:14280/v1 > answer.txt
`+python+` check.py http://127.0.0.1:14280/v1 answer.txt
kill "$serve"
`)
}

// clientChecks compares the answer of the program with a whole one, and looks at what the
// client makes of the rest of the API.
const clientChecks = `import sys
import openai

client = openai.OpenAI(base_url=sys.argv[1], api_key="none", max_retries=0)
model = client.models.list().data[0].id
messages = [{"role": "user", "content": "Who are you?"}]
whole = client.chat.completions.create(model=model, messages=messages, max_tokens=32, temperature=0, logprobs=True, top_logprobs=2)
choice = whole.choices[0]
text, counts = open(sys.argv[2]).read().rstrip("\n").rsplit("\n", 1)
assert text == choice.message.content and text, (text, choice)
assert counts == f"{whole.usage.prompt_tokens} and {whole.usage.completion_tokens} tokens", counts
assert "".join(t.token for t in choice.logprobs.content) == text and len(choice.logprobs.content[0].top_logprobs) == 2, choice
assert client.models.retrieve(model).id == model
with client.chat.completions.stream(model=model, messages=messages, max_tokens=32, temperature=0) as stream:
    assert stream.get_final_completion().choices[0].message.content == text
text = client.completions.create(model=model, prompt="The boat", max_tokens=8, temperature=0, logprobs=1)
assert text.choices[0].text and text.usage.completion_tokens == 8, text
for kind, arguments in (
    (openai.NotFoundError, {"model": "another", "messages": messages}),
    (openai.BadRequestError, {"model": model, "messages": messages, "n": 2}),
    (openai.BadRequestError, {"model": model, "messages": messages, "response_format": {"type": "json_object"}}),
    (openai.BadRequestError, {"model": model, "messages": []}),
):
    try:
        client.chat.completions.create(**arguments)
        raise SystemExit(f"{arguments} was answered")
    except kind as e:
        assert e.body["message"] and e.body["type"] == "invalid_request_error", e.body
`
