package judge

import (
	"fmt"

	"github.com/openai/openai-go/v3"

	"github.com/tunebus/tunebus/pipeline/modelapi"
)

// unfitError is the error of an answer that must not be scored, and that another request
// would not mend.
type unfitError string

func (e unfitError) Error() string { return string(e) }

// checkModel returns the error of an answer that another model gave than the one that was
// asked. A server that does not say which is believed.
func (c *Client) checkModel(key string, m *model, answered string) error {
	if answered == "" || modelapi.SameModel(m.name, answered) {
		return nil
	}
	return unfitError(fmt.Sprintf("it says that %q answered; name in %s the model as the server calls it", c.hide(answered), key))
}

// whole returns why an answer is none that may be scored.
func (c *Client) whole(answer *openai.ChatCompletion) error {
	// llama.cpp has one model, whatever it is called.
	if _, isLlama := answer.JSON.ExtraFields["timings"]; !isLlama {
		if err := c.checkModel("evaluator.llm", &c.llm, answer.Model); err != nil {
			return err
		}
	}
	if len(answer.Choices) == 0 {
		return badAnswer("the response has no answer")
	}
	for _, choice := range answer.Choices {
		switch reason := choice.FinishReason; {
		case reason == "content_filter":
			return unfitError(`a filter of the server has cut the judge's answer: its finish_reason is "content_filter"`)
		case modelapi.GaveUp(reason):
			return badAnswer(fmt.Sprintf("the server did not finish the judge's answer: its finish_reason is %q", reason))
		}
	}
	return nil
}

// hide returns a text of the server without the key: what a judge says gets into reports.
func (c *Client) hide(text string) string {
	text, _ = c.secrets.HideIn(text)
	return text
}

// tokens is a count of tokens as the server says it; 0 where that is no count.
func tokens(n int64) int64 {
	const most = 1 << 30 // no context is as long
	if n < 0 || n > most {
		return 0
	}
	return n
}
