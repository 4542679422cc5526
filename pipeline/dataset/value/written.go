package value

import (
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// The written forms of what formats store in binary form. [Value.Text] lists them.

// OfInt returns a number.
func OfInt(n int64) Value { return OfNumber(strconv.FormatInt(n, 10)) }

// OfUint returns a number.
func OfUint(n uint64) Value { return OfNumber(strconv.FormatUint(n, 10)) }

// OfFloat returns a number of 32 or 64 bits. NaN is missing: that is how pandas
// stores a missing number.
func OfFloat(f float64, bits int) Value {
	switch {
	case math.IsNaN(f):
		return Value{}
	case math.IsInf(f, 1):
		return OfNumber("inf")
	case math.IsInf(f, -1):
		return OfNumber("-inf")
	case f == math.Trunc(f) && math.Abs(f) < 1e16:
		return OfNumber(strconv.FormatFloat(f, 'f', 1, 64))
	}
	return OfNumber(withPoint(strconv.FormatFloat(f, 'e', -1, bits)))
}

// OfFloat16 returns a number of IEEE 754 binary16, in the shortest digits that
// mean the same number of this size.
func OfFloat16(bits uint16) Value {
	f := float16(bits)
	if math.IsNaN(f) || f == math.Trunc(f) { // an infinite number is whole
		return OfFloat(f, 64)
	}
	// Half of the way to the next number, which on one side may be nearer.
	near := min(math.Abs(float16(bits+1)-f), math.Abs(f-float16(bits-1))) / 2
	for digits := range 5 {
		written := strconv.FormatFloat(f, 'e', digits, 64)
		if g, err := strconv.ParseFloat(written, 64); err == nil && math.Abs(g-f) < near {
			return OfNumber(withPoint(trimZeros(written)))
		}
	}
	return OfFloat(f, 64)
}

// float16 returns the number of IEEE 754 binary16. The largest one stands for those
// above it, which are infinite or none.
func float16(bits uint16) float64 {
	sign, exponent, fraction := 1.0, int(bits>>10&0x1f), float64(bits&0x3ff)
	if bits&0x8000 != 0 {
		sign = -1
	}
	switch exponent {
	case 0:
		return sign * math.Ldexp(fraction, -24)
	case 0x1f:
		if fraction != 0 {
			return math.NaN()
		}
		return sign * math.Inf(1)
	}
	return sign * math.Ldexp(1024+fraction, exponent-25)
}

// trimZeros removes zeros before the exponent: 1.50e+00.
func trimZeros(written string) string {
	digits, exponent, _ := strings.Cut(written, "e")
	if strings.Contains(digits, ".") {
		digits = strings.TrimSuffix(strings.TrimRight(digits, "0"), ".")
	}
	return digits + "e" + exponent
}

// withPoint turns 1.52e+01, which is no whole number, into 15.2: the form that Python
// uses between 1e-4 and 1e16.
func withPoint(written string) string {
	digits, power, _ := strings.Cut(written, "e")
	exponent, err := strconv.Atoi(power)
	if err != nil || exponent < -4 || exponent >= 16 {
		return written
	}
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	digits = strings.Replace(digits, ".", "", 1)
	if exponent < 0 {
		return sign + "0." + strings.Repeat("0", -exponent-1) + digits
	}
	return sign + digits[:exponent+1] + "." + digits[exponent+1:]
}

// maxScale is the largest scale of a decimal that is written with all its digits.
const maxScale = 100

// OfDecimal returns the number unscaled / 10^scale with all digits of the scale.
func OfDecimal(unscaled *big.Int, scale int) Value {
	digits := new(big.Int).Abs(unscaled).String()
	sign := ""
	if unscaled.Sign() < 0 {
		sign = "-"
	}
	switch {
	case scale == 0:
		return OfNumber(sign + digits)
	case scale < 0 || scale > maxScale:
		return OfNumber(sign + digits + "e" + strconv.Itoa(-scale))
	}
	if missing := scale + 1 - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	return OfNumber(sign + digits[:len(digits)-scale] + "." + digits[len(digits)-scale:])
}

// OfDate returns the text of a date, in days since 1970-01-01.
func OfDate(days int64) Value {
	const secondsADay = 24 * 60 * 60
	return OfText(time.Unix(days*secondsADay, 0).UTC().Format("2006-01-02"))
}

// OfTimeOfDay returns the text of a time of day, in nanoseconds since midnight.
func OfTimeOfDay(nanoseconds int64) Value {
	t := time.Unix(0, nanoseconds).UTC()
	return OfText(t.Format("15:04:05") + fraction(t))
}

// OfTimestamp returns the text of a point in time. instant means that it is one in
// UTC; otherwise it is what a clock and a calendar show at an unknown place.
func OfTimestamp(t time.Time, instant bool) Value {
	t = t.UTC()
	text := t.Format("2006-01-02T15:04:05") + fraction(t)
	if instant {
		text += "+00:00"
	}
	return OfText(text)
}

// fraction has no, six or nine digits, as in Python and pandas.
func fraction(t time.Time) string {
	switch n := t.Nanosecond(); {
	case n == 0:
		return ""
	case n%1000 == 0:
		return t.Format(".000000")
	}
	return t.Format(".000000000")
}

// OfUUID returns the text of a UUID, in the form of RFC 9562.
func OfUUID(id [16]byte) Value { return OfText(uuid.UUID(id).String()) }
