package row

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tunebus/tunebus/pipeline/dataset/value"
)

// textTypes are the types of parts with a text: of the libraries of Hugging Face,
// and of OpenAI's Responses API.
var textTypes = []string{"text", "input_text", "output_text"}

// Content returns a content that is a text or a list of parts. Each part is a
// text, a place for an image, or {"type": "text", "text": …}; one with a missing
// text is left out. A template would write any other part as it is in memory.
func Content(v value.Value) (value.Value, error) {
	if v.Kind() != value.List {
		s, err := v.Text()
		return value.OfText(s), err
	}
	parts := make([]value.Value, 0, v.Len())
	for i, part := range v.Items() {
		read, err := partValue(part)
		if err != nil {
			return v, fmt.Errorf("part %d: %w", i+1, err)
		}
		if !read.IsMissing() {
			parts = append(parts, read)
		}
	}
	return value.OfList(parts), nil
}

// partValue returns a part of a content; missing if it says nothing.
func partValue(part value.Value) (value.Value, error) {
	switch part.Kind() {
	case value.Text, value.Missing:
		return part, nil
	case value.Object:
	default:
		return part, fmt.Errorf("it is %s, not an object", part.Kind())
	}
	kind, _ := part.Get("type")
	name, err := kind.Text()
	text, hasText := part.Get("text")
	switch {
	case kind.IsMissing() && hasText:
	case err != nil:
		return part, errors.New(`it has no "type", such as "text"`)
	case isImageType(name):
		return part, nil
	case !slices.Contains(textTypes, name):
		return part, fmt.Errorf("its type is %q; only parts of type text and image are read", name)
	}
	switch {
	case text.IsMissing():
		return value.Value{}, nil
	case name == "text" && text.Kind() == value.Text:
		return part, nil
	}
	s, err := text.Text()
	if err != nil {
		return part, fmt.Errorf(`its "text": %w`, err)
	}
	return value.OfObject([]value.Field{
		{Name: "type", Value: value.OfText("text")}, {Name: "text", Value: value.OfText(s)},
	}), nil
}
