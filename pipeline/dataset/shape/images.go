package shape

import (
	"errors"
	"fmt"

	"github.com/tunebus/tunebus/pipeline/dataset/imagepart"
	"github.com/tunebus/tunebus/pipeline/dataset/reader"
	"github.com/tunebus/tunebus/pipeline/dataset/row"
	"github.com/tunebus/tunebus/pipeline/dataset/value"
)

// Images finds the image that a value names or holds.
type Images interface {
	Image(v value.Value) (row.Image, error)
}

// imageColumns are the columns that are looked into for parts of type image that
// have no image themselves, where no key names one.
var imageColumns = []string{"images", "image"}

// imageColumns are the columns with images that the converter reads.
func (c *Converter) imageColumns() []string {
	switch {
	case c.options.Columns.Image != "":
		return []string{c.options.Columns.Image}
	case c.Shape == Messages || c.Shape == PromptCompletion || c.Shape == Conversations:
		return imageColumns
	}
	return nil
}

// addImages adds the images of a record: those of parts, and those of the image
// column in the places of parts without one. Where no part has a place, the images
// of the column stand before the first question.
func (c *Converter) addImages(r reader.Record, out *row.Row, images Images) error {
	column, fromColumn := c.imagesOf(r)
	var all []value.Value
	for i, m := range out.Messages {
		at := m.Images()
		if len(at) == 0 {
			continue
		}
		content, _ := m.Value().Get("content")
		var parts []value.Value
		for _, part := range content.Items() {
			parts = append(parts, part)
		}
		for _, p := range at {
			own := imagepart.Image(parts[p])
			if own.IsMissing() {
				if len(fromColumn) == 0 {
					return columnError(column, fmt.Errorf("message %d has a part of type image, and there is no image for it", i+1))
				}
				own, fromColumn = fromColumn[0], fromColumn[1:]
			}
			all = append(all, own)
			parts[p] = imagepart.Place
		}
		out.Messages[i] = m.WithParts(parts)
	}
	if len(fromColumn) > 0 && c.options.Columns.Image != "" {
		if len(all) > 0 {
			return columnError(column, fmt.Errorf("it has %d images more than the messages have places", len(fromColumn)))
		}
		all = fromColumn
		imagepart.BeforeQuestion(out.Messages, len(all))
	}
	if len(all) > 0 && !c.options.Sees {
		return columnError(column, errors.New("the row has an image, and this engine does not see; one that does needs is_multimodel = true"))
	}
	for _, v := range all {
		image, err := images.Image(v)
		if err != nil {
			return columnError(column, fmt.Errorf("image %d: %w", len(out.Images)+1, err))
		}
		out.Images = append(out.Images, image)
	}
	return nil
}

// imagesOf returns the images of the image column, and the column that errors name.
func (c *Converter) imagesOf(r reader.Record) (string, []value.Value) {
	for _, column := range c.imageColumns() {
		v, _ := r.Get(column)
		if v.IsMissing() {
			continue
		}
		if v.Kind() != value.List {
			return column, []value.Value{v}
		}
		var out []value.Value
		for _, item := range v.Items() {
			out = append(out, item)
		}
		return column, out
	}
	switch {
	case c.options.Columns.Image != "":
		return c.options.Columns.Image, nil
	case c.Shape == Conversations:
		return conversationsColumn, nil
	case c.Shape == PromptCompletion:
		return promptColumn, nil
	}
	return messagesColumn, nil
}
