// Package pytime writes times as Python's datetime.strftime does.
package pytime

import (
	"fmt"
	"strings"
	"time"

	"github.com/tunebus/tunebus/llm/token/jinja/python"
)

// Strftime is datetime.strftime(format) of a time without a zone, in the
// locale C.
func Strftime(t time.Time, format string) string {
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			b.WriteByte(format[i])
			continue
		}
		i++
		flag := byte(0)
		if strings.IndexByte("-_0^", format[i]) >= 0 && i+1 < len(format) {
			flag = format[i]
			i++
		}
		s, ok := directive(t, format[i])
		if !ok {
			python.Unsupported("the directive %%%c of strftime", format[i])
		}
		b.WriteString(flagged(s, flag))
	}
	return b.String()
}

// flagged applies the flags of the C library to a directive.
func flagged(s string, flag byte) string {
	number := strings.Trim(s, "0123456789 ") == ""
	switch {
	case flag == '^':
		return strings.ToUpper(s)
	case flag == 0 || !number:
		return s
	}
	short := strings.TrimLeft(s, "0 ")
	if short == "" {
		short = "0"
	}
	fill := map[byte]string{'-': "", '_': " ", '0': "0"}[flag]
	return strings.Repeat(fill, len(s)-len(short)) + short
}

func directive(t time.Time, c byte) (string, bool) {
	two := func(n int) (string, bool) { return fmt.Sprintf("%02d", n), true }
	hour12 := (t.Hour()+11)%12 + 1
	year, week := t.ISOWeek()
	weekday := int(t.Weekday())
	switch c {
	case 'a':
		return t.Format("Mon"), true
	case 'A':
		return t.Format("Monday"), true
	case 'b', 'h':
		return t.Format("Jan"), true
	case 'B':
		return t.Format("January"), true
	case 'c':
		return t.Format("Mon Jan _2 15:04:05 2006"), true
	case 'C':
		return two(t.Year() / 100)
	case 'd':
		return two(t.Day())
	case 'D', 'x':
		return t.Format("01/02/06"), true
	case 'e':
		return t.Format("_2"), true
	case 'f':
		return fmt.Sprintf("%06d", t.Nanosecond()/1000), true
	case 'F':
		return t.Format("2006-01-02"), true
	case 'g':
		return two(year % 100)
	case 'G':
		return fmt.Sprint(year), true
	case 'H':
		return two(t.Hour())
	case 'I':
		return two(hour12)
	case 'j':
		return fmt.Sprintf("%03d", t.YearDay()), true
	case 'k':
		return fmt.Sprintf("%2d", t.Hour()), true
	case 'l':
		return fmt.Sprintf("%2d", hour12), true
	case 'm':
		return two(int(t.Month()))
	case 'M':
		return two(t.Minute())
	case 'n':
		return "\n", true
	case 'p':
		return t.Format("PM"), true
	case 'P':
		return t.Format("pm"), true
	case 'r':
		return t.Format("03:04:05 PM"), true
	case 'R':
		return t.Format("15:04"), true
	case 'S':
		return two(t.Second())
	case 't':
		return "\t", true
	case 'T', 'X':
		return t.Format("15:04:05"), true
	case 'u':
		return fmt.Sprint((weekday+6)%7 + 1), true
	case 'U':
		return two((t.YearDay() + 6 - weekday) / 7)
	case 'V':
		return two(week)
	case 'w':
		return fmt.Sprint(weekday), true
	case 'W':
		return two((t.YearDay() + 6 - (weekday+6)%7) / 7)
	case 'y':
		return two(t.Year() % 100)
	case 'Y':
		return fmt.Sprint(t.Year()), true
	case 'z', 'Z':
		return "", true
	case '%':
		return "%", true
	}
	return "", false
}
