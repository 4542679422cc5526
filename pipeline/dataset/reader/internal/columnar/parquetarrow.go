package columnar

import (
	"bytes"
	"encoding/base64"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/parquet-go/parquet-go"

	"github.com/tunebus/tunebus/pipeline/dataset/value"
)

// arrowSchemaKey is the key of the metadata under which writers that work with Arrow,
// pandas among them, keep the types that Parquet has not: an Arrow stream of a schema
// in base64. Source: Apache Arrow C++, parquet/arrow/writer.cc.
const arrowSchemaKey = "ARROW:schema"

// refuseDurations lets the cells of columns with durations fail, as they do in an
// Arrow file. Parquet has whole numbers for them, whose unit nothing says. Metadata
// that is damaged is as none.
func refuseDurations(file *parquet.File, nodes []*node) {
	text, ok := file.Lookup(arrowSchemaKey)
	if !ok {
		return
	}
	raw, _ := base64.StdEncoding.DecodeString(text)
	messages, err := newMessageReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		return
	}
	stream, err := newArrowReader(messages)
	if err != nil {
		return
	}
	for _, n := range nodes {
		fields, _ := stream.Schema().FieldsByName(n.name)
		for _, f := range fields {
			if isDuration(f.Type) {
				refused := fmt.Errorf("it holds values of Arrow's type %s, which are not read", f.Type)
				for _, leaf := range n.leaves() {
					leaf.convert = func(parquet.Value) (value.Value, error) { return value.Value{}, refused }
				}
			}
		}
	}
}

// isDuration reports whether a type is a duration, or a list of durations.
func isDuration(t arrow.DataType) bool {
	if list, ok := t.(arrow.ListLikeType); ok {
		t = list.Elem()
	}
	return t.ID() == arrow.DURATION
}
