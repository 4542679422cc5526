package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// age is a flag with a span of time: what Go knows, such as "36h", with days
// in front where there are any, such as "90d" or "1d12h".
type age time.Duration

// Set implements pflag.Value.
func (a *age) Set(text string) error {
	d, err := parseAge(text)
	*a = age(d)
	return err
}

// String implements pflag.Value.
func (a *age) String() string {
	d := time.Duration(*a)
	if d == 0 {
		return ""
	}
	if days := d / (24 * time.Hour); days > 0 && d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%dd", days)
	}
	return d.String()
}

// Type implements pflag.Value.
func (*age) Type() string { return "age" }

func parseAge(text string) (time.Duration, error) {
	wrong := fmt.Errorf("%q is no span of time; write it such as 90d, 36h or 1d12h", text)
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

// timeFlag reads a time or a day, or how long ago it was.
func timeFlag(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	ago, err := parseAge(text)
	if err != nil {
		return time.Time{}, bad(fmt.Errorf("%s %s: want a time such as %s, a day such as %s, or how long ago it was, such as 2h or 3d",
			flag, text, now.UTC().Format(time.RFC3339), now.UTC().Format(time.DateOnly)))
	}
	return now.Add(-ago), nil
}
