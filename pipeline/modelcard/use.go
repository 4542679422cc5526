package modelcard

import (
	"fmt"
	"strings"
)

// use writes the lines that load the model.
func (c Card) use(b *strings.Builder) {
	b.WriteString("## Use\n\nThe lines below are run in the folder of this file, or take its path instead of `.`.\n\n")
	if c.Kind != Adapter {
		mergedQuantised(b, c)
		b.WriteString("```python\n" +
			"from transformers import pipeline\n\n" +
			"chat = pipeline(\"text-generation\", model=\".\")\n" +
			c.ask() +
			"```\n\n```console\nvllm serve .\n```\n")
		return
	}
	base := c.Base
	if c.BaseBeside {
		base = "base"
		b.WriteString("The base model lies in the folder `base`. `adapter_config.json` names it by its absolute path: " +
			"write the new one there after this folder was moved.\n\n")
	}
	base, _, _ = strings.Cut(base, "@")
	b.WriteString("```python\n" +
		"from transformers import AutoModelForCausalLM, AutoTokenizer, pipeline\n\n" +
		"tokenizer = AutoTokenizer.from_pretrained(\".\")\n" +
		"model = AutoModelForCausalLM.from_pretrained(\".\")  # the base model with this adapter; needs the package peft\n" +
		"chat = pipeline(\"text-generation\", model=model, tokenizer=tokenizer)\n" +
		c.ask() +
		"```\n\n")
	useQuantised(b, c)
	more := ""
	const vllmRank = 16 // what vLLM takes unless it is told otherwise
	if c.Run.Accepted != nil && c.tuner().Rank > vllmRank {
		more = fmt.Sprintf(" --max-lora-rank %d", c.tuner().Rank)
	}
	fmt.Fprintf(b, "```console\nvllm serve %s --enable-lora --lora-modules tuned=.%s\n```\n", code(base), more)
}

// ask are the lines that ask a question.
func (c Card) ask() string {
	system := ""
	if c.Run.Accepted != nil && c.systemPrompt() != "" {
		system = fmt.Sprintf("{\"role\": \"system\", \"content\": %s}, ", quoted(c.systemPrompt()))
	}
	return fmt.Sprintf("messages = [%s{\"role\": \"user\", \"content\": \"…\"}]\nprint(chat(messages, max_new_tokens=256)[0][\"generated_text\"][-1][\"content\"])\n", system)
}
