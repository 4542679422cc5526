package columnar

import (
	"encoding/binary"
	"fmt"
	"math/big"
	"time"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"

	"github.com/tunebus/tunebus/pipeline/dataset/value"
)

// convert returns the value of a leaf that is not null.
type convert func(parquet.Value) (value.Value, error)

// conversionOf returns the conversion for the logical type of a leaf, or the older
// converted type. Source: Parquet format, LogicalTypes.md.
func conversionOf(e *format.SchemaElement) convert {
	switch t := e.LogicalType.Value.(type) {
	case *format.StringType, *format.EnumType, *format.JsonType:
		return text
	case *format.DecimalType:
		return decimal(int(t.Scale))
	case *format.DateType:
		return date
	case *format.TimeType:
		if t.Unit.Value == nil {
			return physical
		}
		return timeOfDay(t.Unit.Value)
	case *format.TimestampType:
		if t.Unit.Value == nil {
			return physical
		}
		return timestamp(t.Unit.Value, t.IsAdjustedToUTC)
	case *format.IntType:
		if !t.IsSigned {
			return unsigned
		}
		return physical
	case *format.UUIDType:
		return uuid
	case *format.Float16Type:
		return float16
	}
	if !e.ConvertedType.Valid {
		return physical
	}
	switch e.ConvertedType.V {
	case deprecated.UTF8, deprecated.Enum, deprecated.Json:
		return text
	case deprecated.Decimal:
		return decimal(int(e.Scale.V))
	case deprecated.Date:
		return date
	case deprecated.TimeMillis:
		return timeOfDay(&format.MilliSeconds{})
	case deprecated.TimeMicros:
		return timeOfDay(&format.MicroSeconds{})
	case deprecated.TimestampMillis:
		return timestamp(&format.MilliSeconds{}, true)
	case deprecated.TimestampMicros:
		return timestamp(&format.MicroSeconds{}, true)
	case deprecated.Uint8, deprecated.Uint16, deprecated.Uint32, deprecated.Uint64:
		return unsigned
	}
	return physical
}

// isText reports whether the values of a leaf are texts.
func isText(e *format.SchemaElement) bool {
	if _, ok := e.LogicalType.Value.(*format.StringType); ok {
		return true
	}
	return e.LogicalType.Value == nil && e.ConvertedType.Valid && e.ConvertedType.V == deprecated.UTF8
}

// physical converts a value that has no logical type.
func physical(v parquet.Value) (value.Value, error) {
	switch v.Kind() {
	case parquet.Boolean:
		return value.OfBool(v.Boolean()), nil
	case parquet.Int32, parquet.Int64:
		return value.OfInt(integer(v)), nil
	case parquet.Float:
		return value.OfFloat(float64(v.Float()), 32), nil
	case parquet.Double:
		return value.OfFloat(v.Double(), 64), nil
	case parquet.Int96:
		return value.OfTimestamp(int96Time(v.Int96()), false), nil
	}
	return value.OfBytes(bytesOf(v)), nil
}

// bytesOf is nil for values of other types, which a damaged file may have.
func bytesOf(v parquet.Value) []byte {
	if k := v.Kind(); k != parquet.ByteArray && k != parquet.FixedLenByteArray {
		return nil
	}
	return v.ByteArray()
}

// int96Time is the time that older Spark and Impala write: nanoseconds of the day,
// then the Julian day.
func int96Time(t deprecated.Int96) time.Time {
	const (
		julianDayOfEpoch = 2440588
		secondsADay      = 24 * 60 * 60
	)
	days := int64(t[2]) - julianDayOfEpoch
	return time.Unix(days*secondsADay, int64(t[1])<<32|int64(t[0]))
}

func integer(v parquet.Value) int64 {
	if v.Kind() == parquet.Int32 {
		return int64(v.Int32())
	}
	return v.Int64()
}

func text(v parquet.Value) (value.Value, error) {
	if k := v.Kind(); k != parquet.ByteArray && k != parquet.FixedLenByteArray {
		return physical(v)
	}
	b := bytesOf(v)
	if !utf8.Valid(b) {
		return value.Value{}, fmt.Errorf("the text is not UTF-8: %.20q", b)
	}
	return value.OfText(string(b)), nil
}

func decimal(scale int) convert {
	return func(v parquet.Value) (value.Value, error) {
		switch v.Kind() {
		case parquet.Int32, parquet.Int64:
			return value.OfDecimal(big.NewInt(integer(v)), scale), nil
		case parquet.ByteArray, parquet.FixedLenByteArray:
			return value.OfDecimal(bigEndian(v.ByteArray()), scale), nil
		}
		return physical(v)
	}
}

// bigEndian reads a number in two's complement.
func bigEndian(b []byte) *big.Int {
	n := new(big.Int).SetBytes(b)
	if len(b) > 0 && b[0]&0x80 != 0 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	return n
}

func date(v parquet.Value) (value.Value, error) { return value.OfDate(integer(v)), nil }

func timeOfDay(unit format.TimeUnitValue) convert {
	return func(v parquet.Value) (value.Value, error) {
		return value.OfTimeOfDay(integer(v) * int64(unit.Duration())), nil
	}
}

func timestamp(unit format.TimeUnitValue, instant bool) convert {
	perSecond := int64(time.Second / unit.Duration())
	return func(v parquet.Value) (value.Value, error) {
		n := integer(v)
		return value.OfTimestamp(time.Unix(n/perSecond, n%perSecond*int64(unit.Duration())), instant), nil
	}
}

func unsigned(v parquet.Value) (value.Value, error) {
	if v.Kind() == parquet.Int32 {
		return value.OfUint(uint64(v.Uint32())), nil
	}
	return value.OfUint(v.Uint64()), nil
}

func uuid(v parquet.Value) (value.Value, error) {
	b := bytesOf(v)
	if len(b) != 16 {
		return value.OfBytes(b), nil
	}
	return value.OfUUID([16]byte(b)), nil
}

func float16(v parquet.Value) (value.Value, error) {
	b := bytesOf(v)
	if len(b) != 2 {
		return value.OfBytes(b), nil
	}
	return value.OfFloat16(binary.LittleEndian.Uint16(b)), nil
}
