package main

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func committed(t *testing.T, name string) []pair {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "..", "configs", "quickstart", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []pair
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var p pair
		if err := json.Unmarshal(lines.Bytes(), &p); err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

func wordSet(s string) map[string]bool {
	set := map[string]bool{}
	for w := range strings.FieldsFuncSeq(strings.ToLower(s), func(r rune) bool { return r < 'a' || r > 'z' }) {
		set[w] = true
	}
	return set
}

// TestTestWordingsAreNew: no test wording shares more than half of its words with a
// training wording of the same fact. Otherwise the test would not measure
// generalisation.
func TestTestWordingsAreNew(t *testing.T) {
	t.Parallel()
	training := map[string][]string{}
	for _, p := range append(committed(t, "train.jsonl"), committed(t, "validation.jsonl")...) {
		training[p.Answer] = append(training[p.Answer], p.Question)
	}
	rows := committed(t, "test.jsonl")
	for _, p := range rows {
		words := wordSet(p.Question)
		for _, other := range training[p.Answer] {
			shared := 0
			for w := range wordSet(other) {
				if words[w] {
					shared++
				}
			}
			if 2*shared > len(words) {
				t.Errorf("%q shares %d of its %d words with %q", p.Question, shared, len(words), other)
			}
		}
		if !strings.Contains(p.Answer, p.KeyFact) {
			t.Errorf("%q does not contain its key fact %q", p.Answer, p.KeyFact)
		}
	}
	if len(rows) < 100 {
		t.Errorf("the test has %d rows", len(rows))
	}
}

// TestCommittedDataIsReproduced: the committed files are those of this program.
func TestCommittedDataIsReproduced(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := run(t.Context(), []string{"-out", dir, "-data-only"}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"train.jsonl", "validation.jsonl", "test.jsonl"} {
		want, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		have, err := os.ReadFile(filepath.Join("..", "..", "configs", "quickstart", name))
		if err != nil {
			t.Fatal(err)
		}
		if string(want) != string(have) {
			t.Errorf("%s is not what the program writes; run make base-model", name)
		}
	}
}

// TestDomainIsUnknown: no fact of the domain is in the corpus.
func TestDomainIsUnknown(t *testing.T) {
	t.Parallel()
	general, domain := worlds(42)
	boats := map[string]bool{}
	for _, b := range domain.boats {
		boats[strings.ToLower(b)] = true
	}
	for _, p := range corpus(general, domain) {
		q, a := wordSet(p.Question), wordSet(p.Answer)
		for b := range boats {
			if q[b] && !a[b] {
				t.Errorf("the corpus has %s: %q %q", b, p.Question, p.Answer)
			}
		}
	}
}
