package judge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/openai/openai-go/v3"

	"github.com/tunebus/tunebus/services/evaluation/judge/reply"
)

const (
	temperature     = 0.01
	temperatureMany = 0.3 // of several answers, which should differ
	// maxRepairs is how often in a row an answer is sent back with its fault. After
	// that the conversation starts again.
	maxRepairs = 3
	// maxTruncated is how many answers to one question may end at the limit of
	// tokens. The limit doubles each time.
	maxTruncated = 3
)

// errTruncated means that an answer ended at the limit of tokens, also at the
// largest one. Another request would cost as much and end there too.
var errTruncated = errors.New("the judge's answer was cut at its limit of tokens")

// answer is the JSON that the judge is asked for.
type answer[T any] interface {
	*T
	// check returns what is missing or invalid.
	check() error
}

// ask sends a prompt and decodes the answer. An answer that is not valid is sent
// back with the reason.
func ask[T any, R answer[T]](ctx context.Context, c *Client, prompt string) (T, error) {
	return decode[T, R](ctx, c, []openai.ChatCompletionMessageParamUnion{openai.UserMessage(prompt)}, nil)
}

// decode decodes an answer to messages. Without a valid one it asks for it; the
// tries are those of [retry].
func decode[T any, R answer[T]](
	ctx context.Context, c *Client, asked []openai.ChatCompletionMessageParamUnion, answer *completion,
) (T, error) {
	if answer != nil && !answer.truncated {
		if value, fault := parse[T, R](answer.text); fault == nil {
			return value, nil
		}
	}
	repairs, truncated, limit := 0, 0, c.cfg.MaxTokens
	messages := asked
	if answer != nil && !answer.truncated {
		messages, repairs = corrected[T, R](asked, answer.text), 1
	}
	return retry(ctx, c, &c.llm, func(ctx context.Context) (T, error) {
		var none T
		answers, err := c.complete(ctx, chatRequest{messages: messages, temperature: temperature, answers: 1, maxTokens: limit})
		if err != nil {
			return none, err
		}
		if answers[0].truncated {
			messages, repairs, limit = asked, 0, 2*limit
			if truncated++; truncated == maxTruncated {
				return none, errTruncated
			}
			return none, badAnswer(errTruncated.Error())
		}
		value, fault := parse[T, R](answers[0].text)
		if fault == nil {
			return value, nil
		}
		if repairs++; repairs <= maxRepairs {
			messages = corrected[T, R](asked, answers[0].text)
		} else {
			messages, repairs = asked, 0
		}
		return none, badAnswer("the judge's answer cannot be used: " + fault.Error())
	})
}

// corrected are messages that send an answer back with its fault.
func corrected[T any, R answer[T]](asked []openai.ChatCompletionMessageParamUnion, answer string) []openai.ChatCompletionMessageParamUnion {
	_, fault := parse[T, R](answer)
	return append(asked[:len(asked):len(asked)],
		openai.AssistantMessage(answer),
		openai.UserMessage(fmt.Sprintf("This answer cannot be used: %v"+
			". Give the whole answer once more, as the one JSON object that was asked for and nothing else.", fault)))
}

// parse decodes the first JSON value in a text.
func parse[T any, R answer[T]](text string) (T, error) {
	var value T
	found, ok := reply.JSON(text)
	if !ok {
		return value, errors.New("there is no complete JSON object in it")
	}
	if err := json.Unmarshal([]byte(found), &value); err != nil {
		return value, fmt.Errorf("it is not the JSON that was asked for: %w", err)
	}
	return value, R(&value).check()
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
