package structconf

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// ParseTOML parses a file. A syntax error hides everything after it, so there is at
// most one fault.
func ParseTOML(file string, body []byte) (Tree, Faults) {
	t := Tree{Sections: map[string]any{}, Positions: map[string]Position{}}
	if err := toml.Unmarshal(body, &t.Sections); err != nil {
		f := Fault{File: file, Key: "syntax", Message: err.Error()}
		if decodeErr, ok := errors.AsType[*toml.DecodeError](err); ok {
			f.Line, f.Column = decodeErr.Position()
			f.Message = strings.TrimPrefix(decodeErr.Error(), "toml: ")
		}
		return Tree{}, Faults{f}
	}
	keyPositions(file, body, t.Positions)
	return t, nil
}

// keyPositions adds the position of each section and key to positions. The file
// was decoded before, so the parser returns no error here.
func keyPositions(file string, body []byte, positions map[string]Position) {
	var p unstable.Parser
	p.Reset(body)
	section := ""
	for p.NextExpression() {
		e := p.Expression()
		if e.Kind != unstable.Table && e.Kind != unstable.ArrayTable && e.Kind != unstable.KeyValue {
			continue
		}
		var parts []string
		var position Position
		for it := e.Key(); it.Next(); {
			if len(parts) == 0 {
				s := p.Shape(it.Node().Raw).Start
				position = Position{File: file, Line: s.Line, Column: s.Column}
			}
			parts = append(parts, string(it.Node().Data))
		}
		path := strings.Join(parts, ".")
		if e.Kind == unstable.KeyValue {
			if section != "" {
				path = section + "." + path
			}
		} else {
			section = path
		}
		if _, ok := positions[path]; !ok {
			positions[path] = position
		}
	}
}

// ParseJSON parses a JSON object of sections. Its keys have no positions.
func ParseJSON(body []byte) (Tree, Faults) {
	t := Tree{Sections: map[string]any{}}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if len(bytes.TrimSpace(body)) == 0 {
		return t, nil
	}
	if err := d.Decode(&t.Sections); err != nil {
		return Tree{}, Faults{{Key: "specification", Message: "want a JSON object of sections, such as {\"fine_tuner\": {\"epochs\": 1}}"}}
	}
	return t, nil
}
