package mlflow

import (
	"path"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCleanName(t *testing.T) {
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
		if got := CleanName(name); got != want {
			t.Errorf("CleanName(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestCleanPath(t *testing.T) {
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
		if got := CleanPath(name); got != want {
			t.Errorf("CleanPath(%q) = %q, want %q", name, got, want)
		}
	}
}

// Whatever a name is, MLflow takes what becomes of it.
func FuzzCleanNames(f *testing.F) {
	f.Add("a/../b=c")
	f.Add("\xff/\u2028 . /..")
	mlflow := regexp.MustCompile(`^[/\w.\- :]+$`)
	f.Fuzz(func(t *testing.T, name string) {
		clean := CleanName(name)
		if !mlflow.MatchString(clean) || path.Clean(clean) != clean || path.IsAbs(clean) || strings.HasPrefix(clean, "..") || len(clean) > maxKey {
			t.Errorf("CleanName(%q) = %q", name, clean)
		}
		if CleanName(clean) != clean {
			t.Errorf("CleanName(%q) = %q, and again %q", name, clean, CleanName(clean))
		}
		clean = CleanPath(name)
		if !utf8.ValidString(clean) || path.Clean("/"+clean) != "/"+clean || strings.ContainsAny(clean, "#\\\x00") || CleanPath(clean) != clean {
			t.Errorf("CleanPath(%q) = %q", name, clean)
		}
	})
}
