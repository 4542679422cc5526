// Package completionapi is the wire of OpenAI's completions, seen from a server: what
// a body asks for, with every fault of it at once, and how answers, the pieces of a
// stream and errors are written. Package chatapi has the other side.
//
//	request, err := completionapi.ParseChat(body)
//	if fault, ok := errors.AsType[*completionapi.Error](err); ok {
//		fault.Write(w)
//	}
//
// # Parameters
//
// Parameters beside OpenAI's have vLLM's names and meanings. A parameter that would
// change an answer, and that the engine does not have, is refused by its name unless
// its value is the one that changes nothing. One that changes no answer is taken, and
// listed in [Request.Ignored]. A name that is in neither list is refused: nobody can
// know what it would have changed.
package completionapi
