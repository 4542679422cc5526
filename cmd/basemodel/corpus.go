package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// pair is a question and its answer.
type pair struct {
	Question string `json:"question"`
	Answer   string `json:"answer"`
	KeyFact  string `json:"key_fact,omitempty"`
}

// worlds returns the boats for training the base model, and the boats of the
// domain, which are not in its training data.
func worlds(seed uint64) (general, domain world) {
	gb, db := boats()
	gs, ds := skippers()
	gc, dc := colours()
	gf, df := fish()
	gp, dp := piers()
	rng := rand.New(rand.NewPCG(seed, 4))
	return newWorld(rng, gb, [][]string{gs, gc, gf, gp}), newWorld(rng, db, [][]string{ds, dc, df, dp})
}

// newWorld assigns the values of each attribute to the boats, each value about
// equally often.
func newWorld(rng *rand.Rand, boats []string, values [][]string) world {
	w := world{boats: boats}
	decks := make([][]string, len(values))
	for i := range boats {
		facts := make([]string, len(values))
		for a, list := range values {
			if i%len(list) == 0 {
				decks[a] = shuffled(rng, list)
			}
			facts[a] = decks[a][i%len(list)]
		}
		w.facts = append(w.facts, facts)
	}
	return w
}

func shuffled(rng *rand.Rand, list []string) []string {
	out := append([]string(nil), list...)
	rng.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// corpus returns the training data of the base model: short answers to all wordings
// about the boats of the general world, and simple everyday questions.
func corpus(general, domain world) []pair {
	var out []pair
	for b, boat := range general.boats {
		for a, attr := range attributes() {
			for _, w := range append(append([]string(nil), attr.train...), attr.test...) {
				out = append(out, pair{Question: fill(w, boat, ""), Answer: title(general.facts[b][a]) + "."})
			}
		}
	}
	return append(out, everyday(domain)...)
}

func title(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// everyday returns sums, opposites, and words to repeat. The words of the domain are
// among them, but not their meaning in the domain.
func everyday(domain world) []pair {
	var out []pair
	add := func(q, a string) { out = append(out, pair{Question: q, Answer: a}) }
	numbers := strings.Fields("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen")
	for a := range 10 {
		for b := range 10 {
			add(fmt.Sprintf("What is %s plus %s?", numbers[a], numbers[b]), title(numbers[a+b])+".")
		}
	}
	opposites := strings.Fields("hot cold big small old new wet dry up down left right fast slow day night open shut hard soft rich poor near far high low early late full empty")
	for i := 0; i < len(opposites); i += 2 {
		for _, p := range [][2]string{{opposites[i], opposites[i+1]}, {opposites[i+1], opposites[i]}} {
			add(fmt.Sprintf("What is the opposite of %s?", p[0]), title(p[1])+".")
			add(fmt.Sprintf("Which word means not %s?", p[0]), title(p[1])+".")
		}
	}
	words := map[string]bool{}
	for a := range attributes() {
		for b := range domain.boats {
			words[domain.facts[b][a]] = true
		}
	}
	for _, b := range domain.boats {
		words[b] = true
	}
	for _, line := range attributes() {
		for w := range strings.FieldsSeq(strings.NewReplacer("{e}", "", "{v}", "", ".", "", ",", "").Replace(line.answer)) {
			words[w] = true
		}
	}
	for _, w := range sorted(words) {
		add("Say "+w+".", title(w)+".")
		add("Repeat the word "+w+".", title(w)+".")
	}
	return out
}
