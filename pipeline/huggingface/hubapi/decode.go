package hubapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"regexp"

	"github.com/tunebus/tunebus/pipeline/redaction"
)

// Answers reads what the Hub says. No text of it keeps the token.
type Answers struct {
	host    string
	secrets *redaction.Secrets
}

// Hide returns a text of the Hub without the token and without control characters.
func (a Answers) Hide(text string) string { return oneLine(a.secrets.Hide(text)) }

// HideIn returns an error whose text has no token, and is the same error otherwise. Each
// error of the client is one.
func (a Answers) HideIn(err error) error { return a.secrets.Error(err) }

// Decode reads the JSON of an answer, and closes its body. The error matches
// [ErrBroken] if the answer was cut off, and [ErrNonsense] if it is none of the Hub.
func (a Answers) Decode(response *http.Response, into any) error {
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return a.HideIn(fmt.Errorf("%w: %w", ErrBroken, err))
	}
	if len(body) > maxAnswer {
		return fmt.Errorf("%w: it is longer than %d MiB", ErrNonsense, maxAnswer>>20)
	}
	err = json.Unmarshal(body, into)
	syntax, _ := errors.AsType[*json.SyntaxError](err)
	switch body = bytes.TrimSpace(body); {
	case err == nil:
		return nil
	case syntax != nil && syntax.Offset >= int64(len(body)) && len(body) > 0:
		return fmt.Errorf("%w: the answer ends after %d bytes, in the middle", ErrBroken, len(body))
	default:
		what, quote := whatIs(response.Header.Get("Content-Type"), body, err)
		return a.Nonsense(what + said(a.secrets.Hide(quote)))
	}
}

// Nonsense is the error of an answer that is none of the Hub. what says what it is.
func (a Answers) Nonsense(what string) error {
	return a.HideIn(fmt.Errorf("%w at %s, but %s; check the address of the Hub (HF_ENDPOINT)", ErrNonsense, a.host, what))
}

// title is the title of a web page.
var title = regexp.MustCompile(`(?is)<title[^>]*>(.*?)</title>`)

// whatIs says what was answered instead of the right JSON, and what of it tells most.
func whatIs(mediaType string, body []byte, err error) (what, quote string) {
	media, _, _ := mime.ParseMediaType(mediaType)
	switch {
	case len(body) == 0:
		return "nothing", ""
	case media == "text/html" || media == "application/xhtml+xml" || bytes.HasPrefix(body, []byte("<")):
		if match := title.FindSubmatch(body); match != nil {
			quote = string(match[1])
		}
		return "a web page", quote
	case errors.As(err, new(*json.UnmarshalTypeError)):
		return "JSON of another form", string(body)
	default:
		return "a text that is no JSON", string(body)
	}
}
