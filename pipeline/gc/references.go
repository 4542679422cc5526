package gc

import (
	"bytes"
	"encoding/json"
)

// references calls each for every reference to an artifact that some JSON
// holds, at any depth: an object with a store and a key. JSON that cannot be
// read has none, and reports so.
func references(text []byte, each func(store, key string)) error {
	if !bytes.Contains(text, []byte(`"store"`)) && json.Valid(text) {
		return nil // spares most of the work
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
		for _, one := range v {
			walk(one, each)
		}
	case map[string]any:
		store, s := v["store"].(string)
		key, k := v["key"].(string)
		if s && k {
			each(store, key)
		}
		for _, one := range v {
			walk(one, each)
		}
	}
}
