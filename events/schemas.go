package events

import (
	"embed"
	"fmt"
	"strings"
)

//go:generate go run ./internal/generate

//go:embed schemas/*.json
var schemas embed.FS

// JSONSchema returns the JSON Schema (draft 2020-12) of the data of an event, by
// its wire name.
func JSONSchema(typ string) ([]byte, error) {
	if _, ok := decoders()[typ]; !ok {
		return nil, fmt.Errorf("schema of %s: no such event", typ)
	}
	return schemas.ReadFile("schemas/" + strings.TrimPrefix(Schema(typ), schemaBase))
}
