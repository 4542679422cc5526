package main

import (
	"math/rand/v2"
	"strings"
)

// Words that the two worlds use for one thing never are the same, so that
// the base model cannot guess an answer about the domain.

func colours() (general, domain []string) {
	return strings.Fields("red blue green black white grey brown pink gold silver orange purple tan navy lime cream"),
		strings.Fields("crimson amber teal ivory violet copper olive scarlet indigo bronze coral jade ruby slate maroon")
}

func fish() (general, domain []string) {
	return strings.Fields("cod herring tuna salmon trout eels squid shrimp crabs hake sole bass carp perch pike rays"),
		strings.Fields("mackerel halibut turbot sardines lobsters haddock anchovies mussels oysters flounder sprats monkfish whiting mullet scallops")
}

func piers() (general, domain []string) {
	return strings.Fields("north south east west old new long short stone wooden iron upper lower inner outer middle"),
		strings.Fields("lantern anchor willow beacon chapel granary cannon mill fountain orchard barrel compass garden tower bridge")
}

// names makes n different invented names. The same seed gives the same ones.
func names(seed uint64, n int, taken map[string]bool) []string {
	rng := rand.New(rand.NewPCG(seed, 3))
	onsets := strings.Fields("b br c d dr f fl g gr h j k l m n p pr r s st t tr v w")
	vowels := strings.Fields("a e i o u ai ea oo")
	middles := strings.Fields("l ll n nd r rr s st m v d t")
	ends := strings.Fields("a en er in is o on or us y el an")
	pick := func(list []string) string { return list[rng.IntN(len(list))] }
	var out []string
	for len(out) < n {
		s := pick(onsets) + pick(vowels) + pick(middles) + pick(ends)
		s = strings.ToUpper(s[:1]) + s[1:]
		if len(s) >= 4 && len(s) <= 8 && !taken[s] {
			taken[s] = true
			out = append(out, s)
		}
	}
	return out
}
