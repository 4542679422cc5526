package judge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/openai/openai-go/v3"
)

const (
	temperature     = 0.01
	temperatureMany = 0.3 // of several answers, which should differ
	maxRepairs      = 3
)

// errTruncated means that an answer ended at the limit of tokens. Another request
// would cost as much and end there too.
var errTruncated = errors.New("the judge's answer was cut at its limit of tokens")

// reply is the JSON that the judge is asked for.
type reply[T any] interface {
	*T
	// check returns what is missing or invalid.
	check() error
}

// ask sends a prompt and decodes the answer. An answer that is not valid is sent
// back with the reason, up to three times.
func ask[T any, R reply[T]](ctx context.Context, c *Client, prompt string) (T, error) {
	messages := []openai.ChatCompletionMessageParamUnion{openai.UserMessage(prompt)}
	answers, err := c.complete(ctx, messages, temperature, 1)
	if err != nil {
		return *new(T), err
	}
	return decode[T, R](ctx, c, messages, answers[0])
}

// decode decodes an answer to messages, with the corrections of [ask].
func decode[T any, R reply[T]](ctx context.Context, c *Client, asked []openai.ChatCompletionMessageParamUnion, answer completion) (T, error) {
	for repairs := 0; ; repairs++ {
		if answer.truncated {
			return *new(T), errTruncated
		}
		value, fault := parse[T, R](answer.text)
		if fault == nil {
			return value, nil
		}
		if repairs == maxRepairs {
			return *new(T), fmt.Errorf("the judge's answer after %d corrections: %w", maxRepairs, fault)
		}
		again := append(asked[:len(asked):len(asked)],
			openai.AssistantMessage(answer.text),
			openai.UserMessage("This answer cannot be used: "+fault.Error()+
				". Give the whole answer once more, as the one JSON object that was asked for and nothing else."))
		answers, err := c.complete(ctx, again, temperature, 1)
		if err != nil {
			return *new(T), err
		}
		answer = answers[0]
	}
}

// parse decodes the first JSON value in a text.
func parse[T any, R reply[T]](text string) (T, error) {
	var value T
	found, ok := firstJSON(text)
	if !ok {
		return value, errors.New("there is no complete JSON object in it")
	}
	if err := json.Unmarshal([]byte(found), &value); err != nil {
		return value, fmt.Errorf("it is not the JSON that was asked for: %w", err)
	}
	return value, R(&value).check()
}

// firstJSON finds the first balanced object or list, after a json fence if there
// is one. Brackets inside strings do not count.
func firstJSON(text string) (string, bool) {
	if before, fenced, ok := strings.Cut(text, "```json"); ok && !strings.Contains(before, `"`) {
		text = fenced // a quote before the fence may begin the answer itself, with a fence in a string
	}
	start := strings.IndexAny(text, "{[")
	if start < 0 {
		return "", false
	}
	var open []byte
	inString := false
	for i := start; i < len(text); i++ {
		switch b := text[i]; {
		case inString && b == '\\':
			i++
		case b == '"':
			inString = !inString
		case inString:
		case b == '{' || b == '[':
			open = append(open, b+2) // the closing bracket, in ASCII
		case b == '}' || b == ']':
			if open[len(open)-1] != b {
				return "", false
			}
			if open = open[:len(open)-1]; len(open) == 0 {
				return text[start : i+1], true
			}
		}
	}
	return "", false
}

// flag is a yes or no that models write in many ways. Every number but 0 is yes.
type flag bool

// UnmarshalJSON accepts numbers, booleans, and both as strings.
func (f *flag) UnmarshalJSON(data []byte) error {
	text := strings.ToLower(strings.Trim(string(data), `" `))
	switch text {
	case "true", "yes":
		*f = true
		return nil
	case "false", "no":
		*f = false
		return nil
	}
	var number float64
	if err := json.Unmarshal([]byte(text), &number); err != nil || text == "null" {
		return fmt.Errorf("%s is no verdict: want 1 or 0", data)
	}
	*f = number != 0
	return nil
}
