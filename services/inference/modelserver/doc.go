// Package modelserver is the engine that has a server with OpenAI's API answer: vLLM,
// SGLang, llama.cpp, Ollama, OpenAI itself, or another one. Address and key come from
// the worker's settings, never from an event.
//
//	e := modelserver.New(modelserver.Config{Endpoint: "http://vllm:8000/v1", Folder: cache})
//
// # One job
//
// The engine waits for the server and looks what it is (server.go). A tuned adapter is
// copied to a folder that the server sees, and loaded (adapter.go); the first prompts
// prove that it changes the answers (proof.go). Rows are asked in parallel (pass.go),
// as many at once as the server stands (openlimit). Each call is made again until it
// succeeds or cannot (call.go, failure.go), and parameters that the server does not know
// are left out from then on (package chatapi). Answers are kept as they come, by the package
// answers. At the end, also after a failure, the adapter is unloaded and removed.
package modelserver
