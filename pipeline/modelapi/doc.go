// Package modelapi is what clients of servers with OpenAI's API share, whatever they
// ask: the bound of a response, what a server says instead of an answer, whether the
// same call may succeed later, and how long to wait for that.
//
//	res, err := modelapi.Check(most)(request, http.DefaultClient.Do)
//	if status, ok := errors.AsType[*modelapi.Error](err); ok && status.Again() {
//		pause := modelapi.Backoff{First: time.Second, Longest: time.Minute}.Pause(retries, status.RetryAfter)
//		…
//	}
//
// A server may be anything, so that nothing of a response decides how much memory is
// taken, and no reason has an address or a key in it, also where the server repeats the
// key that it was sent.
package modelapi
