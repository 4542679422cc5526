// Package cachelist lists and removes what tunebus keeps in the cache of huggingface_hub,
// which package huggingface fills.
//
//	all, err := cachelist.List(ctx, "")
//	…
//	err = all[0].Remove()
package cachelist
