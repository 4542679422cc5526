package hubapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode"
)

// Errors that callers can distinguish with errors.Is.
var (
	// ErrUnreachable means that the Hub did not respond, or only with server
	// errors. A later try may succeed.
	ErrUnreachable = errors.New("the Hub cannot be reached")
	// ErrBroken means that a response was cut off, or is not valid. A later
	// try may succeed.
	ErrBroken = errors.New("the transfer is broken")
	// ErrNonsense means that the Hub answered, and not with what its API has as an
	// answer: something else may stand at its address, such as a page to log in. A
	// later try may succeed.
	ErrNonsense = errors.New("the answer is not one of the Hub")
	// ErrRefused means that the Hub refuses access, or that the repository does
	// not exist.
	ErrRefused = errors.New("the Hub refuses")
	// ErrConflict means that the repository changed meanwhile, or exists already.
	ErrConflict = errors.New("the Hub reports a conflict")
	// ErrNotFound means that the repository or the file does not exist, or that the
	// token may not see it. It is an [ErrRefused] too.
	ErrNotFound = errors.New("not found")
	// ErrStorage means that an address of the storage, which the Hub signed, is refused.
	// It may have run out. It is an [ErrRefused] too.
	ErrStorage = errors.New("the storage refuses")
)

// statusError explains a status and names the next step. The Hub puts its own
// reason into headers, or into the text of the answer.
func (c *Client) statusError(r Request, response *http.Response, text []byte) error {
	status := response.StatusCode
	refused := func(says string) error { return fmt.Errorf("%s: %w: %s", r.What, ErrRefused, says) }
	writes := r.Method != "" && r.Method != http.MethodGet
	reason := response.Header.Get("X-Error-Code")
	switch {
	case status == http.StatusTooManyRequests || status == http.StatusRequestTimeout || status >= http.StatusInternalServerError:
		from := "the Hub at " + c.base.Host
		if r.Plain {
			from = "the storage of " + from
		}
		return fmt.Errorf("%s: %s answers with status %d%s%w", r.What, from, status, c.Answers.quoted(response, text), silent{ErrUnreachable})
	case reason == "GatedRepo":
		return refused("it is gated; accept its terms at " + c.PageURL(r.Repository) + ", and set HF_TOKEN to a token of that account")
	case reason == "DisabledRepo":
		return refused("the Hub has disabled this repository, and no token opens it; take another one, or ask its owner" + c.Answers.quoted(response, text))
	case status == http.StatusConflict || status == http.StatusPreconditionFailed:
		return fmt.Errorf("%s: %w: status %d%s", r.What, ErrConflict, status, c.Answers.quoted(response, text))
	case r.Plain: // an address that the Hub signed, to which no token belongs
		return fmt.Errorf("%s: %w: its storage does not take the file: status %d%s%w", r.What, ErrRefused, status, c.Answers.quoted(response, text), silent{ErrStorage})
	case status == http.StatusUnauthorized && writes:
		return refused("the token is not valid; make one with write access at " + c.base.String() + "/settings/tokens, and set HF_TOKEN")
	case status == http.StatusForbidden && writes:
		says := c.Answers.quoted(response, text)
		if says == "" {
			return refused("the token may not write there; give one with write access (HF_TOKEN), or another name or owner")
		}
		return refused(fmt.Sprintf("status %d%s; where the token is the reason, give one with write access (HF_TOKEN), or another name or owner", status, says))
	case status == http.StatusUnauthorized && !c.hasToken:
		return refused("it does not exist, or it is private; check its name, or set HF_TOKEN")
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return refused("the token is not accepted there; check HF_TOKEN and what it may read" + c.Answers.quoted(response, text))
	case reason == "RevisionNotFound":
		return fmt.Errorf("%s: %w: there is no such revision", r.What, ErrRefused)
	case status == http.StatusNotFound:
		return fmt.Errorf("%s: %w: it does not exist at %s; check its name%w", r.What, ErrRefused, c.base.Host, silent{ErrNotFound})
	case status/100 == 3:
		return refused(fmt.Sprintf("it answers with a redirect (status %d); if the repository was renamed, use its new name", status))
	default:
		return refused(fmt.Sprintf("status %d%s", status, c.Answers.quoted(response, text)))
	}
}

// silent is an error that can be matched and says nothing.
type silent struct{ error }

func (silent) Error() string { return "" }

// Unwrap returns the error.
func (s silent) Unwrap() error { return s.error }

// quoted is what the Hub itself says about a status; empty if it says nothing. It is
// one line of bounded length.
func (a Answers) quoted(response *http.Response, text []byte) string {
	says := response.Header.Get("X-Error-Message")
	if says == "" {
		var body struct {
			Error   string `json:"error"`
			Message string `json:"message"`
		}
		if json.Unmarshal(text, &body) == nil {
			says = body.Error
			if says == "" {
				says = body.Message
			}
		}
	}
	return said(a.secrets.Hide(says))
}

// said is a text of the Hub as the end of a sentence.
func said(text string) string {
	text = oneLine(text)
	const limit = 300
	if runes := []rune(text); len(runes) > limit {
		text = string(runes[:limit]) + "…"
	}
	if text == "" {
		return ""
	}
	return ` ("` + text + `")`
}

// oneLine is a text without control characters.
func oneLine(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, text)
	return strings.Join(strings.Fields(text), " ")
}
