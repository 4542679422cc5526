package kernel

import "golang.org/x/sys/cpu"

// vectorPaths are the paths of this processor beside the plain one, the fastest last.
func vectorPaths() []Path {
	x := cpu.X86
	if !x.HasAVX2 || !x.HasFMA || !x.HasF16C {
		return nil
	}
	if x.HasAVX512F && x.HasAVX512DQ && x.HasAVX512BW && x.HasAVX512VL {
		return []Path{AVX2, AVX512}
	}
	return []Path{AVX2}
}
