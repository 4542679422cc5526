package gc

import (
	"bytes"
	"encoding/json"
)

// eachReference calls each for every reference to an artifact in a JSON text, at
// any depth: an object with a store and a key. Text that is no JSON has no
// references and returns an error.
func eachReference(text []byte, each func(store, key string)) error {
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

func walk(value any, each func(store, key string)) {
	switch v := value.(type) {
	case []any:
		for _, element := range v {
			walk(element, each)
		}
	case map[string]any:
		store, hasStore := v["store"].(string)
		key, hasKey := v["key"].(string)
		if hasStore && hasKey {
			each(store, key)
		}
		for _, element := range v {
			walk(element, each)
		}
	}
}
