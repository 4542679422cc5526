// Package hubapi speaks to the Hugging Face Hub, or to a server with the same HTTP
// API: requests with a bound on time and on what is read of an answer, retries, and
// errors that say what to do.
//
//	c, err := hubapi.New(hubapi.Options{Endpoint: "https://huggingface.co", Token: token})
//	...
//	r, err := hubapi.ParseRepository(hubapi.Models, "owner/name@main", "")
//	head, err := c.Head(ctx, r)
//	files, err := c.Files(ctx, r, head.Commit)
//
// # Errors
//
// An error matches one of [ErrUnreachable], [ErrBroken], [ErrNonsense], [ErrRefused] and
// [ErrConflict]. A later try of the first three may succeed.
//
// # The token
//
// It is sent to the origin of the endpoint and to no other, also after a redirect.
// A request that is [Request.Plain] has none at all. Whatever the Hub says loses the token
// before it gets into an error or a log.
package hubapi
