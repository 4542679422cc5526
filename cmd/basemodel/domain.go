package main

import (
	"math/rand/v2"
	"sort"
)

// domainData is the data set of the domain: each fact in every train wording
// but one row in sixteen, which validates; and in every test wording.
func domainData(seed uint64, w world) (train, validation, test []pair) {
	rng := rand.New(rand.NewPCG(seed, 5))
	for b, boat := range w.boats {
		for a, attr := range attributes() {
			value := title(w.facts[b][a])
			row := func(wording string) pair {
				return pair{Question: fill(wording, boat, ""), Answer: fill(attr.answer, boat, value), KeyFact: value}
			}
			held := -1
			if rng.IntN(8) < 3 {
				held = rng.IntN(len(attr.train))
			}
			for i, t := range attr.train {
				if i == held {
					validation = append(validation, row(t))
				} else {
					train = append(train, row(t))
				}
			}
			for _, t := range attr.test {
				test = append(test, row(t))
			}
		}
	}
	rng.Shuffle(len(train), func(i, j int) { train[i], train[j] = train[j], train[i] })
	return train, validation, test
}

func sorted(set map[string]bool) []string {
	out := make([]string, 0, len(set))
	for s := range set {
		out = append(out, s)
	}
	sort.Strings(out)
	return out
}
