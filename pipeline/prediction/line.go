package prediction

import "encoding/json"

// line is a prediction as it is stored. The last three fields repeat others under
// the names of the original Python pipeline, whose readers look for them.
type line struct {
	Index       int64    `json:"index"`
	System      string   `json:"system,omitempty"`
	Question    string   `json:"question"`
	GroundTruth *string  `json:"ground_truth"`
	References  []string `json:"references,omitempty"`
	KeyFact     string   `json:"key_fact,omitempty"`
	Answer      *string  `json:"answer"`
	Reasoning   string   `json:"reasoning,omitempty"`
	Tokens      int      `json:"tokens,omitempty"`
	Error       string   `json:"error,omitempty"`

	PromptTokens int    `json:"prompt_tokens,omitempty"`
	FinishReason string `json:"finish_reason,omitempty"`

	SystemPrompt      string  `json:"system_prompt,omitempty"`
	UserPrompt        string  `json:"user_prompt"`
	AssistantResponse *string `json:"assistant_response"`
}

// MarshalJSON implements [json.Marshaler]. A ground truth or an answer that is
// missing is null.
func (p Prediction) MarshalJSON() ([]byte, error) {
	l := line{
		Index: p.Index, System: p.System, Question: p.Question, References: p.References, KeyFact: p.KeyFact,
		Reasoning: p.Reasoning, Tokens: p.Tokens, Error: p.Error,
		PromptTokens: p.PromptTokens, FinishReason: p.FinishReason,
		SystemPrompt: p.System, UserPrompt: p.Question,
	}
	if !p.NoGroundTruth {
		l.GroundTruth = &p.GroundTruth
	}
	if !p.NoAnswer {
		l.Answer, l.AssistantResponse = &p.Answer, &p.Answer
	}
	return json.Marshal(l)
}

// UnmarshalJSON implements [json.Unmarshaler]. A line without an index keeps the
// index of p. Earlier versions wrote an empty answer where there was none.
func (p *Prediction) UnmarshalJSON(data []byte) error {
	l := line{Index: p.Index}
	if err := json.Unmarshal(data, &l); err != nil {
		return err
	}
	*p = Prediction{
		Index: l.Index, System: l.System, Question: l.Question, References: l.References, KeyFact: l.KeyFact,
		Reasoning: l.Reasoning, Tokens: l.Tokens, Error: l.Error,
		PromptTokens: l.PromptTokens, FinishReason: l.FinishReason,
		NoGroundTruth: l.GroundTruth == nil && len(l.References) == 0,
		NoAnswer:      l.Answer == nil || *l.Answer == "" && l.Error != "",
	}
	switch {
	case l.GroundTruth != nil:
		p.GroundTruth = *l.GroundTruth
	case len(l.References) > 0:
		p.GroundTruth = l.References[0]
	}
	if l.Answer != nil {
		p.Answer = *l.Answer
	}
	return nil
}
