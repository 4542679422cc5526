package normalize

import (
	"path"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"loss":                          "loss",
		"rouge_score(mode=fmeasure)":    "rouge_score_mode:fmeasure_",
		"system/gpu_0":                  "system/gpu_0",
		"größe, 100%":                   "gr__e_ 100_",
		"/x":                            "x",
		"a//b/":                         "a/b",
		"a/./../b":                      "a/b",
		"..":                            "_",
		"..a/b":                         "_.a/b",
		"":                              "_",
		"///":                           "_",
		"two\nlines":                    "two_lines",
		strings.Repeat("a", 249) + "/b": strings.Repeat("a", 249),
		strings.Repeat("é", 300):        strings.Repeat("_", 250),
	} {
		if got := Name(name); got != want {
			t.Errorf("Name(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestPath(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 200)
	for name, want := range map[string]string{
		"model/weights.bin": "model/weights.bin",
		"../../etc/passwd":  "etc/passwd",
		"/abs":              "abs",
		`a\b#c` + "\x00":    "a_b_c_",
		"m/größe 100%: x":   "m/größe 100%: x",
		"c:/x":              "c_/x",
		"file:x":            "file_x",
		"a%2e%2E/b%%2323":   "a_2e_2E/b%_2323",
		"..a":               "..a",
		"":                  "_",
		"a\xff":             "a_",
		long + "/x":         strings.Repeat("é", 127) + "/x",
	} {
		if got := Path(name); got != want {
			t.Errorf("Path(%q) = %q, want %q", name, got, want)
		}
	}
}

// FuzzNames: MLflow accepts every normalized name, and normalizing it again
// changes nothing.
func FuzzNames(f *testing.F) {
	f.Add("a/../b=c")
	f.Add("\xff/\u2028 . /..")
	mlflow := regexp.MustCompile(`^[/\w.\- :]+$`)
	f.Fuzz(func(t *testing.T, name string) {
		clean := Name(name)
		if !mlflow.MatchString(clean) || path.Clean(clean) != clean || path.IsAbs(clean) || strings.HasPrefix(clean, "..") || len(clean) > MaxKey {
			t.Errorf("Name(%q) = %q", name, clean)
		}
		if Name(clean) != clean {
			t.Errorf("Name(%q) = %q, and again %q", name, clean, Name(clean))
		}
		clean = Path(name)
		if !utf8.ValidString(clean) || path.Clean("/"+clean) != "/"+clean || strings.ContainsAny(clean, "#\\\x00") || Path(clean) != clean {
			t.Errorf("Path(%q) = %q", name, clean)
		}
	})
}
