package workbook

import (
	"encoding/xml"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/tunebus/tunebus/pipeline/dataset/value"
)

// display is what a number format makes of a number.
type display uint8

const (
	plain display = iota
	date
	timeOfDay
	dateAndTime
	duration
)

// styles are the number formats of the cells.
type styles struct {
	displays []display // by style
	from1904 bool
}

func (a *archive) styles(of relations) (s styles, err error) {
	name := of.byType["styles"]
	if name == "" {
		return s, nil
	}
	custom := map[string]string{}
	inCells := false
	err = a.each(name, func(element string, attributes []xml.Attr) {
		switch element {
		case "numFmt":
			custom[attribute(attributes, "numFmtId")] = attribute(attributes, "formatCode")
		case "cellXfs":
			inCells = true
		case "xf":
			if inCells {
				id := attribute(attributes, "numFmtId")
				s.displays = append(s.displays, displayOf(id, custom))
			}
		}
	}, func(string, string) error { return nil }, func(element string) error {
		if element == "cellXfs" {
			inCells = false
		}
		return nil
	})
	return s, err
}

// displayOf returns the display of a number format. Source of those that are built
// in: ECMA-376, part 1, 18.8.30, numFmt.
func displayOf(id string, custom map[string]string) display {
	if code, ok := custom[id]; ok {
		return displayOfCode(code)
	}
	switch n, _ := strconv.Atoi(id); {
	case n == 22:
		return dateAndTime
	case n == 46:
		return duration
	case 18 <= n && n <= 21, n == 45, n == 47, n == 32, n == 33, n == 34, n == 35, n == 55, n == 56:
		return timeOfDay
	case 14 <= n && n <= 17, 27 <= n && n <= 36, 50 <= n && n <= 58:
		return date
	}
	return plain
}

var (
	elapsed = regexp.MustCompile(`(?i)\[(h+|m+|s+)\]`)
	literal = regexp.MustCompile(`"[^"]*"|\\.|_.|\*.|\[[^\]]*\]|(?i:general)`)
)

// displayOfCode reads the format of positive numbers in a format code.
func displayOfCode(code string) display {
	code = literal.ReplaceAllStringFunc(code, func(s string) string {
		if elapsed.MatchString(s) {
			return s
		}
		return ""
	})
	code, _, _ = strings.Cut(code, ";")
	if elapsed.MatchString(code) {
		return duration
	}
	code = strings.ToLower(code)
	hasTime := strings.ContainsAny(code, "hs")
	hasDate := strings.ContainsAny(code, "yd") || !hasTime && strings.Contains(code, "m")
	switch {
	case hasDate && hasTime:
		return dateAndTime
	case hasTime:
		return timeOfDay
	case hasDate:
		return date
	}
	return plain
}

// number returns the value of a cell that holds a number.
func (s styles) number(text string, style int) (value.Value, error) {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		return value.Value{}, fmt.Errorf("%.20q is no number", text)
	}
	shows := plain
	if style >= 0 && style < len(s.displays) {
		shows = s.displays[style]
	}
	switch shows {
	case plain:
		if strings.Trim(text, "-0123456789.") == "" {
			return value.OfNumber(text), nil
		}
		return value.OfFloat(f, 64), nil
	case duration:
		return value.Value{}, errors.New("the cell holds a duration, which is not read; write it as text")
	}
	return s.moment(f, shows)
}

// maxSerial is the last day that the format has, 9999-12-31.
const maxSerial = 2958466

// moment returns the text of a date or time, which is stored as a number of days.
func (s styles) moment(days float64, shows display) (value.Value, error) {
	if days < 0 || days >= maxSerial {
		return value.Value{}, fmt.Errorf("the cell shows a date, but its number %v is none", days)
	}
	const millisecondsADay = 24 * 60 * 60 * 1000
	// The numbers have no more precision than milliseconds.
	milliseconds := int64(math.Round(days * millisecondsADay))
	day, rest := milliseconds/millisecondsADay, milliseconds%millisecondsADay
	sinceMidnight := time.Duration(rest) * time.Millisecond
	if day == 0 && shows == timeOfDay {
		return value.OfTimeOfDay(int64(sinceMidnight)), nil
	}
	// Day 1 is 1900-01-01. Day 60 is 1900-02-29, which never was.
	first := time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC)
	switch {
	case s.from1904:
		first = time.Date(1904, 1, 1, 0, 0, 0, 0, time.UTC)
	case day < 60:
		first = time.Date(1899, 12, 31, 0, 0, 0, 0, time.UTC)
	}
	t := first.AddDate(0, 0, int(day))
	if shows == date && rest == 0 {
		const secondsADay = 24 * 60 * 60
		return value.OfDate(t.Unix() / secondsADay), nil // whole days, so negative ones are exact
	}
	return value.OfTimestamp(t.Add(sinceMidnight), false), nil
}
