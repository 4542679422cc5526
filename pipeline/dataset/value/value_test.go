package value

import (
	"errors"
	"math"
	"math/big"
	"testing"
	"time"
)

// TestText holds the written rule.
func TestText(t *testing.T) {
	t.Parallel()
	at := time.Date(2024, 3, 5, 9, 20, 0, 0, time.UTC)
	for want, v := range map[string]Value{
		"a b": OfText("a b"), "": OfText(""), "1.50": OfNumber("1.50"), "true": OfBool(true), "false": OfBool(false),
		"-9223372036854775808": OfInt(math.MinInt64), "18446744073709551615": OfUint(math.MaxUint64),
		"0.1": OfFloat(0.1, 64), "0.3": OfFloat(float64(float32(0.3)), 32), "1.0": OfFloat(1, 64), "-0.0": OfFloat(math.Copysign(0, -1), 64),
		"1e+16": OfFloat(1e16, 64), "9999999999999998.0": OfFloat(9999999999999998, 64), "1.2345678901234568e+16": OfFloat(12345678901234567, 64),
		"0.0001": OfFloat(1e-4, 64), "1e-05": OfFloat(1e-5, 64), "-123.456": OfFloat(-123.456, 64), "0.00025": OfFloat(2.5e-4, 64),
		"inf": OfFloat(math.Inf(1), 64), "-inf": OfFloat(math.Inf(-1), 64),
		"65504.0": OfFloat16(0x7bff), "0.333": OfFloat16(0x3554), "6e-08": OfFloat16(1), "0.0": OfFloat16(0), "-2.5": OfFloat16(0xc100),
		"12.50": OfDecimal(big.NewInt(1250), 2), "-0.05": OfDecimal(big.NewInt(-5), 2), "7": OfDecimal(big.NewInt(7), 0),
		"7e3": OfDecimal(big.NewInt(7), -3), "7e-2000000000": OfDecimal(big.NewInt(7), 2_000_000_000),
		"2024-03-05": OfDate(19787), "1969-12-31": OfDate(-1), "09:20:00": OfTimeOfDay(33600e9), "09:20:00.500000": OfTimeOfDay(33600.5e9),
		"2024-03-05T09:20:00": OfTimestamp(at, false), "2024-03-05T09:20:00+00:00": OfTimestamp(at.In(time.FixedZone("", 3600)), true),
		"2024-03-05T09:20:00.000000001":        OfTimestamp(at.Add(1), false),
		"12345678-1234-5678-1234-567812345678": OfUUID([16]byte{0x12, 0x34, 0x56, 0x78, 0x12, 0x34, 0x56, 0x78, 0x12, 0x34, 0x56, 0x78, 0x12, 0x34, 0x56, 0x78}),
	} {
		if got, err := v.Text(); err != nil || got != want {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
	}
	for want, v := range map[string]Value{
		"it holds no value, not text": {}, "it holds a list, not text": OfList(nil), "it holds an object, not text": OfObject(nil),
		"it holds bytes, not text": OfBytes([]byte("x")),
	} {
		_, err := v.Text()
		if notText := (*NotTextError)(nil); !errors.As(err, &notText) || notText.Kind != v.Kind() || err.Error() != want {
			t.Errorf("%v: %v, want %q", v.Kind(), err, want)
		}
	}
	if v := OfFloat(math.NaN(), 64); !v.IsMissing() {
		t.Errorf("NaN is %v", v)
	}
	if v := OfFloat16(0x7e00); !v.IsMissing() {
		t.Errorf("NaN of 16 bits is %v", v)
	}
}

// TestParts holds how lists and objects are read.
func TestParts(t *testing.T) {
	t.Parallel()
	o := OfObject([]Field{{"z", OfInt(1)}, {"a", Value{}}})
	l := OfList([]Value{OfText("x"), o, OfBytes([]byte{0, 255})})
	if got, want := string(l.AppendJSON(nil)), `["x",{"z":1,"a":null},"AP8="]`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if v, ok := o.Get("a"); !ok || !v.IsMissing() {
		t.Errorf("a null: %v, %v", v, ok)
	}
	if v, ok := o.Get("b"); ok || !v.IsMissing() {
		t.Errorf("no key: %v, %v", v, ok)
	}
	if _, ok := l.Get("z"); ok {
		t.Error("a list has no fields")
	}
	names := ""
	for name := range o.Fields() {
		names += name
	}
	for range l.Fields() {
		t.Error("a list has no fields")
	}
	items := 0
	for i := range l.Items() {
		items += i
	}
	for range o.Items() {
		t.Error("an object has no items")
	}
	if names != "za" || items != 3 || l.Len() != 3 || o.Len() != 2 || OfText("abc").Len() != 0 {
		t.Errorf("%q %d %d %d", names, items, l.Len(), o.Len())
	}
	if b := OfBytes([]byte("ab")).Bytes(); string(b) != "ab" || OfText("ab").Bytes() != nil {
		t.Errorf("bytes %q", b)
	}
	if !OfBool(true).IsTrue() || OfBool(false).IsTrue() || OfText("true").IsTrue() {
		t.Error("true is not true")
	}
}
