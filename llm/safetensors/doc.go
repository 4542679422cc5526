// Package safetensors reads and writes the files in which checkpoints keep
// their weights, a tensor at a time, so that no file has to fit into memory.
//
// The format is a header of JSON behind its length, then the values of the
// tensors one behind the other (huggingface/safetensors, README, "Format").
// Values are converted from and to float32; a tensor of any other kind, such as
// packed integers, can be listed and copied and not read.
//
//	f, err := safetensors.Open("model.safetensors")
//	…
//	for _, t := range f.Tensors() {
//		values, err := f.Values(t.Name)
//		…
//	}
//
// No library is used: those for Go map or load the whole file.
package safetensors
