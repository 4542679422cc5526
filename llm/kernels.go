package llm

import "github.com/tunebus/tunebus/llm/internal/kernel"

// SlowKernelsNotice is what a program tells its operator if [SlowKernels].
const SlowKernelsNotice = "the built-in engine uses no vector instructions, and takes many times as long"

// Kernels names the instructions that the engine uses: "avx512", "avx2", "neon"
// or "plain".
func Kernels() string { return kernel.Active().String() }

// SlowKernels reports whether the engine uses no vector instructions.
func SlowKernels() bool { return kernel.Active() == kernel.Plain }

// UseKernels chooses the instructions by their name for the whole process;
// results are the same. An empty name is the fastest. No model may work meanwhile. An
// error names those that this processor has.
func UseKernels(name string) error {
	if name == "" {
		return nil
	}
	return kernel.Use(name)
}
