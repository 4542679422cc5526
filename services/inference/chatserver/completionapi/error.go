package completionapi

import (
	"encoding/json"
	"net/http"
)

// Error is what is said instead of an answer.
type Error struct {
	// Status is that of HTTP.
	Status int
	// Code and Param may be empty: a word for programs, and the parameter that is wrong.
	Code, Param string
	Message     string
}

func (e *Error) Error() string { return e.Message }

// kind is the type of an error, in OpenAI's words.
func (e *Error) kind() string {
	switch {
	case e.Status == http.StatusUnauthorized:
		return "authentication_error"
	case e.Status == http.StatusForbidden:
		return "permission_error"
	case e.Status == http.StatusTooManyRequests:
		return "rate_limit_error"
	case e.Status >= http.StatusInternalServerError:
		return "server_error"
	}
	return "invalid_request_error"
}

// MarshalJSON writes OpenAI's error object.
func (e *Error) MarshalJSON() ([]byte, error) {
	optional := func(text string) *string {
		if text == "" {
			return nil
		}
		return &text
	}
	type object struct {
		Message string  `json:"message"`
		Type    string  `json:"type"`
		Param   *string `json:"param"`
		Code    *string `json:"code"`
	}
	return json.Marshal(map[string]object{"error": {e.Message, e.kind(), optional(e.Param), optional(e.Code)}})
}
