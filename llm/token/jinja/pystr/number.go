package pystr

import (
	"math"
	"strconv"
	"strings"

	"github.com/tunebus/tunebus/llm/token/jinja/python"
)

// ParseInt is int(s, base); false if Python raises an error.
func ParseInt(s string, base int64) (int64, bool) {
	s = strings.TrimFunc(s, isSpace)
	sign := ""
	if s != "" && (s[0] == '-' || s[0] == '+') {
		sign, s = s[:1], s[1:]
	}
	s = asciiDigits(s)
	prefix := map[int64]string{2: "0b", 8: "0o", 16: "0x"}[base]
	if prefix != "" && len(s) > 2 && strings.EqualFold(s[:2], prefix) {
		s = strings.TrimPrefix(s[2:], "_")
	}
	if strings.HasPrefix(s, "_") || strings.HasSuffix(s, "_") || strings.Contains(s, "__") || s == "" || base != 0 && (base < 2 || base > 36) {
		return 0, false
	}
	if base == 0 && len(s) > 1 && s[0] == '0' && strings.Trim(s, "0_") != "" && strings.IndexByte("xXoObB", s[1]) < 0 {
		return 0, false
	}
	i, err := strconv.ParseInt(sign+strings.ReplaceAll(s, "_", ""), int(base), 64)
	if err != nil && strings.Contains(err.Error(), "range") {
		python.Unsupported("integers beyond 64 bits")
	}
	return i, err == nil
}

// asciiDigits writes the digits of other scripts as those of ASCII.
func asciiDigits(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x80 || !isDecimal(r) {
			return r
		}
		zero := r // digits of a script stand in a row of ten
		for i := 0; i < 9 && isDecimal(zero-1) && (zero-1)%10 != 0xffff; i++ {
			zero--
		}
		return '0' + (r - zero)
	}, s)
}

// ParseFloat is float(s); false if Python raises an error.
func ParseFloat(s string) (float64, bool) {
	s = asciiDigits(strings.TrimFunc(s, isSpace))
	plain := strings.ToLower(strings.TrimLeft(s, "+-"))
	if len(s)-len(plain) > 1 {
		return 0, false
	}
	switch plain {
	case "inf", "infinity", "nan":
	default:
		if strings.Trim(plain, "0123456789.e_+-") != "" || strings.HasPrefix(plain, "_") || strings.HasSuffix(plain, "_") || strings.Contains(plain, "__") {
			return 0, false
		}
		for i := range plain {
			if plain[i] == '_' && (!digit(plain[i-1]) || !digit(plain[i+1])) {
				return 0, false
			}
		}
	}
	f, err := strconv.ParseFloat(strings.ReplaceAll(s, "_", ""), 64)
	return f, err == nil || math.IsInf(f, 0)
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

// ToInt is int(v) for a number; false if Python raises an error.
func ToInt(v python.Value) (int64, bool) {
	if i, ok := python.Int(v); ok {
		return i, true
	}
	f, ok := v.(float64)
	if !ok || math.IsNaN(f) || math.IsInf(f, 0) {
		return 0, false
	}
	if math.Abs(f) >= 1<<63 {
		python.Unsupported("integers beyond 64 bits")
	}
	return int64(f), true
}

// Round is round(v, digits).
func Round(v python.Value, digits int64) python.Value {
	if digits < 0 {
		python.Unsupported("rounding to less than no digits behind the point")
	}
	if i, ok := python.Int(v); ok {
		return i
	}
	f, ok := v.(float64)
	if !ok {
		if u, ok := v.(*python.Undefined); ok {
			u.Fail()
		}
		python.Raise("TypeError", "type %s doesn't define __round__ method", python.TypeName(v))
	}
	if digits > 22 || math.IsNaN(f) || math.IsInf(f, 0) {
		return f
	}
	out, _ := strconv.ParseFloat(strconv.FormatFloat(f, 'f', int(digits), 64), 64)
	return out
}
