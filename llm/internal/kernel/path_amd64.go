package kernel

import "golang.org/x/sys/cpu"

// fastest is the fastest path of this processor.
func fastest() Path {
	x := cpu.X86
	switch {
	case x.HasAVX512F && x.HasAVX512DQ && x.HasAVX512BW && x.HasAVX512VL:
		return AVX512
	case x.HasAVX2 && x.HasFMA && x.HasF16C:
		return AVX2
	}
	return Plain
}
