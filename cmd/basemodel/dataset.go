package main

import (
	"math/rand/v2"
	"sort"
)

// domainData returns the data set of the domain. The training data has each fact in
// all train wordings, except for one row in sixteen, which is validation data. The
// test data has each fact in all test wordings.
func domainData(seed uint64, w world) (train, validation, test []pair) {
	rng := rand.New(rand.NewPCG(seed, 5))
	for b, boat := range w.boats {
		for a, attr := range attributes() {
			value := title(w.facts[b][a])
			row := func(wording string) pair {
				return pair{Question: fill(wording, boat, ""), Answer: fill(attr.answer, boat, value), KeyFact: value}
			}
			validated := -1
			if rng.IntN(8) < 3 {
				validated = rng.IntN(len(attr.train))
			}
			for i, t := range attr.train {
				if i == validated {
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
