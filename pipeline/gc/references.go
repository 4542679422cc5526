package gc

import (
	"bytes"
	"encoding/json"

	"github.com/tunebus/tunebus/events"
)

// eachReference calls each for every reference to an artifact in a JSON text, at
// any depth: an object with a store and a key. Text that is no JSON has no
// references and returns an error.
func eachReference(text []byte, each func(ref events.Reference)) error {
	if !bytes.Contains(text, []byte(`"store"`)) && json.Valid(text) {
		return nil // most texts; decoding is much slower
	}
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		return err
	}
	walk(value, each)
	return nil
}

func walk(value any, each func(ref events.Reference)) {
	switch v := value.(type) {
	case []any:
		for _, element := range v {
			walk(element, each)
		}
	case map[string]any:
		store, hasStore := v["store"].(string)
		key, hasKey := v["key"].(string)
		if hasStore && hasKey {
			mediaType, _ := v["media_type"].(string)
			size, _ := v["size"].(float64)
			sum, _ := v["sha256"].(string)
			each(events.Reference{Store: store, Key: key, MediaType: mediaType, Size: int64(size), SHA256: sum})
		}
		for _, element := range v {
			walk(element, each)
		}
	}
}
