package structconf_test

import (
	"fmt"

	"github.com/tunebus/tunebus/pipeline/structconf"
)

func ExampleDecode() {
	type tuner struct {
		Rank int `json:"rank" default:"16" doc:"rank of the adapter"`
	}
	var s struct {
		Tuner tuner `json:"tuner"`
	}
	structconf.SetDefaults(&s)
	tree, faults := structconf.ParseTOML("tuner.toml", []byte("[tuner]\nrnk = 8\n"))
	faults = append(faults, structconf.Decode(&s, tree)...)
	fmt.Println(s.Tuner.Rank)
	fmt.Println(faults)
	// Output:
	// 16
	// tuner.toml:2:1: tuner.rnk: unknown key; did you mean "rank"?
}
