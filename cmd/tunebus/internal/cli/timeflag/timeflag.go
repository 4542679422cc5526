// Package timeflag reads the spans and points of time that flags take.
//
// A span is written as Go does, with days in front where there are any, such
// as 36h, 90d or 1d12h. A point is a time, a day, or the span since then.
package timeflag

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
)

// Age is the value of a flag that takes a span. It is a pflag.Value.
type Age time.Duration

// Set reads the flag.
func (a *Age) Set(text string) error {
	d, err := parse(text)
	*a = Age(d)
	return err
}

// String writes the flag; help shows its default so.
func (a *Age) String() string {
	d := time.Duration(*a)
	if d == 0 {
		return ""
	}
	if days := d / (24 * time.Hour); days > 0 && d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%dd", days)
	}
	return d.String()
}

// Type is the name that help shows.
func (*Age) Type() string { return "age" }

// parse reads a span.
func parse(text string) (time.Duration, error) {
	wrong := errors.New("want a span of time such as 90d, 36h or 1d12h")
	var span time.Duration
	rest := text
	if days, behind, ok := strings.Cut(text, "d"); ok {
		n, err := strconv.ParseFloat(days, 64)
		if err != nil || !(n >= 0 && n <= 1e5) { // a duration holds 292 years
			return 0, wrong
		}
		span, rest = time.Duration(n*float64(24*time.Hour)), behind
	}
	if rest == "" && text != "" {
		return span, nil
	}
	d, err := time.ParseDuration(rest)
	if err != nil || d < 0 {
		return 0, wrong
	}
	return span + d, nil
}

// Point reads the text of a flag that takes a point of time. No text is the
// zero time.
func Point(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	ago, err := parse(text)
	if err != nil {
		return time.Time{}, exit.Input(fmt.Errorf("%s %s: want a time such as %s, a day such as %s, or how long ago it was, such as 2h or 3d",
			flag, text, now.UTC().Format(time.RFC3339), now.UTC().Format(time.DateOnly)))
	}
	return now.Add(-ago), nil
}
