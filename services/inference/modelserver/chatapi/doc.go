// Package chatapi makes single calls to a server with OpenAI's API: what a run asks for
// as the body of a call, what came back, and what was learned of the parameters that
// the server takes. Whoever calls decides whether to call again.
//
//	c := chatapi.NewClient("http://vllm:8000/v1", key, 64, 10*time.Minute)
//	defer c.Close()
//	request, err := chatapi.NewRequest(specification.Inferencer, row, 0)
//	request.Model = "owner/name"
//	reply, err := c.Ask(ctx, dialect.Speak(request))
//
// What a server says decides neither how much memory is taken nor where the key goes.
//
// # Why no library
//
// openai-go, which the judge uses, was weighed. Messages and tools are JSON already, in
// the order of the data; min_p, top_k, lora and chat_template_kwargs are no parameters
// of OpenAI's, and the addresses around adapters are none of its API. Pauses, the bound
// of a body and the learning of parameters are this engine's own. What is left of the
// library is one POST.
package chatapi
