// Package structconf decodes configuration sections into structs and returns all
// faults at once, each with the position of its key.
//
//	type Sections struct {
//		Tuner struct {
//			Rank int `json:"rank" default:"16" doc:"rank of the adapter"`
//		} `json:"tuner"`
//	}
//
//	var s Sections
//	structconf.SetDefaults(&s)
//	tree, faults := structconf.ParseTOML("tuner.toml", body)
//	faults = append(faults, structconf.Decode(&s, tree)...)
//	fmt.Println(faults) // tuner.toml:2:1: tuner.rnk: unknown key; did you mean "rank"?
//
// The tags of the struct define each key once, for the decoder, the checks and the
// written reference:
//
//	json:"rank"             the name of the key
//	default:"16"            the default, as text
//	allowed:"a|b"           the allowed values; an empty one means no value
//	doc:"what it means"     one line for the reference
//	env:"HF_TOKEN"          an environment variable that may have the value
//	secret:"true"           the value is never shown
//
// TOML is parsed by go-toml. The code for positions, suggestions and the check of
// all keys is ours: go-toml has a position only for syntax errors, and stops at the
// first fault of a value.
package structconf
