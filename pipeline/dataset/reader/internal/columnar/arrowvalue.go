package columnar

import (
	"fmt"
	"math/big"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tunebus/tunebus/pipeline/dataset/value"
)

// arrowCell builds the value of one cell. Texts are copied, since an array is in
// the memory of its batch.
type arrowCell struct {
	left int // values that the cell may still have; lists of nulls take no space in a file
}

// value returns the value at an index of an array.
func (c *arrowCell) value(f arrow.Field, a arrow.Array, i int) (value.Value, error) {
	if c.left--; c.left < 0 {
		return value.Value{}, errTooManyValues
	}
	if a.IsNull(i) {
		return value.Value{}, nil
	}
	switch a := a.(type) {
	case *array.Null:
		return value.Value{}, nil
	case *array.Boolean:
		return value.OfBool(a.Value(i)), nil
	case *array.Dictionary:
		f.Type = a.Dictionary().DataType()
		return c.value(f, a.Dictionary(), a.GetValueIndex(i))
	case *array.RunEndEncoded:
		return c.value(f, a.Values(), a.GetPhysicalIndex(i))
	case array.ExtensionArray:
		f.Type = a.Storage().DataType()
		return c.value(f, a.Storage(), i)
	case array.StringLike:
		s := a.Value(i)
		if !utf8.ValidString(s) {
			return value.Value{}, fmt.Errorf("the text is not UTF-8: %.20q", s)
		}
		return value.OfText(strings.Clone(s)), nil
	case *array.FixedSizeBinary:
		b := a.Value(i)
		if name, _ := f.Metadata.GetValue("ARROW:extension:name"); name == "arrow.uuid" && len(b) == 16 {
			return value.OfUUID([16]byte(b)), nil
		}
		return value.OfBytes(b), nil
	case interface{ Value(i int) []byte }: // the arrays of bytes
		return value.OfBytes(a.Value(i)), nil
	}
	if v, ok := arrowNumber(a, i); ok {
		return v, nil
	}
	if v, ok := arrowTime(a, i); ok {
		return v, nil
	}
	return c.nested(a, i)
}

func arrowNumber(a arrow.Array, i int) (value.Value, bool) {
	switch a := a.(type) {
	case *array.Int8:
		return value.OfInt(int64(a.Value(i))), true
	case *array.Int16:
		return value.OfInt(int64(a.Value(i))), true
	case *array.Int32:
		return value.OfInt(int64(a.Value(i))), true
	case *array.Int64:
		return value.OfInt(a.Value(i)), true
	case *array.Uint8:
		return value.OfUint(uint64(a.Value(i))), true
	case *array.Uint16:
		return value.OfUint(uint64(a.Value(i))), true
	case *array.Uint32:
		return value.OfUint(uint64(a.Value(i))), true
	case *array.Uint64:
		return value.OfUint(a.Value(i)), true
	case *array.Float16:
		return value.OfFloat16(a.Value(i).Uint16()), true
	case *array.Float32:
		return value.OfFloat(float64(a.Value(i)), 32), true
	case *array.Float64:
		return value.OfFloat(a.Value(i), 64), true
	}
	t, ok := a.DataType().(arrow.DecimalType)
	if !ok {
		return value.Value{}, false
	}
	scale := int(t.GetScale())
	switch a := a.(type) {
	case *array.Decimal32:
		return value.OfDecimal(big.NewInt(int64(a.Value(i))), scale), true
	case *array.Decimal64:
		return value.OfDecimal(big.NewInt(int64(a.Value(i))), scale), true
	case *array.Decimal128:
		return value.OfDecimal(a.Value(i).BigInt(), scale), true
	case *array.Decimal256:
		return value.OfDecimal(a.Value(i).BigInt(), scale), true
	}
	return value.Value{}, false
}

func arrowTime(a arrow.Array, i int) (value.Value, bool) {
	switch a := a.(type) {
	case *array.Date32:
		return value.OfDate(int64(a.Value(i))), true
	case *array.Date64:
		const millisecondsADay = 24 * 60 * 60 * 1000
		return value.OfDate(floorDiv(int64(a.Value(i)), millisecondsADay)), true
	case *array.Time32:
		if t, ok := a.DataType().(*arrow.Time32Type); ok {
			return value.OfTimeOfDay(int64(a.Value(i)) * int64(t.Unit.Multiplier())), true
		}
	case *array.Time64:
		if t, ok := a.DataType().(*arrow.Time64Type); ok {
			return value.OfTimeOfDay(int64(a.Value(i)) * int64(t.Unit.Multiplier())), true
		}
	case *array.Timestamp:
		if t, ok := a.DataType().(*arrow.TimestampType); ok {
			n, unit := int64(a.Value(i)), int64(t.Unit.Multiplier())
			perSecond := int64(time.Second) / unit
			return value.OfTimestamp(time.Unix(n/perSecond, n%perSecond*unit), t.TimeZone != ""), true
		}
	}
	return value.Value{}, false
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// nested returns a list or an object.
func (c *arrowCell) nested(a arrow.Array, i int) (value.Value, error) {
	switch a := a.(type) {
	case *array.Map: // is a list as well
		start, end := a.ValueOffsets(i)
		var entries []value.Value
		for j := int(start); j < int(end); j++ {
			entry, err := c.object(a.ListValues(), j)
			if err != nil {
				return value.Value{}, err
			}
			entries = append(entries, entry)
		}
		if t, ok := a.DataType().(*arrow.MapType); ok && t.KeyType().ID() != arrow.STRING && t.KeyType().ID() != arrow.LARGE_STRING {
			return value.OfList(entries), nil
		}
		return mapValue(entries), nil
	case array.ListLike:
		element, ok := a.DataType().(arrow.ListLikeType)
		if !ok {
			break
		}
		start, end := a.ValueOffsets(i)
		var items []value.Value
		for j := int(start); j < int(end); j++ {
			item, err := c.value(element.ElemField(), a.ListValues(), j)
			if err != nil {
				return value.Value{}, err
			}
			items = append(items, item)
		}
		return value.OfList(items), nil
	case *array.Struct:
		return c.object(a, i)
	case array.Union:
		child := a.ChildID(i)
		if dense, ok := a.(*array.DenseUnion); ok {
			i = int(dense.ValueOffset(i))
		}
		t, ok := a.DataType().(arrow.UnionType)
		if !ok {
			break
		}
		return c.value(t.Fields()[child], a.Field(child), i)
	}
	return value.Value{}, fmt.Errorf("it holds values of Arrow's type %s, which are not read", a.DataType())
}

func (c *arrowCell) object(a arrow.Array, i int) (value.Value, error) {
	s, ok := a.(*array.Struct)
	if !ok {
		return value.Value{}, fmt.Errorf("it holds entries of Arrow's type %s, which are not read", a.DataType())
	}
	t, ok := s.DataType().(*arrow.StructType)
	if !ok {
		return value.Value{}, fmt.Errorf("it holds entries of Arrow's type %s, which are not read", a.DataType())
	}
	fields := make([]value.Field, s.NumField())
	for j := range fields {
		v, err := c.value(t.Field(j), s.Field(j), i)
		if err != nil {
			return value.Value{}, err
		}
		fields[j] = value.Field{Name: t.Field(j).Name, Value: v}
	}
	return value.OfObject(fields), nil
}
