// Package imagepart finds the images in the parts of messages, and makes places for
// them.
package imagepart

import (
	"github.com/tunebus/tunebus/pipeline/dataset/row"
	"github.com/tunebus/tunebus/pipeline/dataset/value"
)

// Place is the part that stands for an image in a chat template.
var Place = value.OfObject([]value.Field{{Name: "type", Value: value.OfText("image")}})

// Image is the image of a part: {"image": …}, {"image_url": {"url": …}},
// {"image_url": …}, {"url": …}, {"path": …} or {"bytes": …}; missing if the part is
// only a place.
func Image(part value.Value) value.Value {
	for _, key := range []string{"image", "image_url", "url", "bytes", "path"} {
		v, _ := part.Get(key)
		if v.Kind() == value.Object {
			if url, has := v.Get("url"); has {
				v = url
			}
		}
		if !v.IsMissing() {
			return v
		}
	}
	return value.Value{}
}

// BeforeQuestion puts places for n images before the text of the first user
// turn.
func BeforeQuestion(messages []row.Message, n int) {
	for i, m := range messages {
		if m.Role() != row.User {
			continue
		}
		var parts []value.Value
		for range n {
			parts = append(parts, Place)
		}
		content, _ := m.Value().Get("content")
		if content.Kind() == value.List {
			for _, part := range content.Items() {
				parts = append(parts, part)
			}
		} else {
			parts = append(parts, value.OfObject([]value.Field{
				{Name: "type", Value: value.OfText("text")}, {Name: "text", Value: content},
			}))
		}
		messages[i] = m.WithParts(parts)
		return
	}
}

// AsParts returns a message of a row with images, with its content as a list of parts
// that are objects.
func AsParts(m row.Message) row.Message {
	content, _ := m.Value().Get("content")
	text := func(v value.Value) value.Value {
		return value.OfObject([]value.Field{{Name: "type", Value: value.OfText("text")}, {Name: "text", Value: v}})
	}
	switch content.Kind() {
	case value.Text:
		return m.WithParts([]value.Value{text(content)})
	case value.List:
		var parts []value.Value
		for _, part := range content.Items() {
			if part.Kind() == value.Text {
				part = text(part)
			}
			parts = append(parts, part)
		}
		return m.WithParts(parts)
	}
	return m
}
