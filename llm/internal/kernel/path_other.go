//go:build !amd64

package kernel

// fastest is the fastest path of this processor.
func fastest() Path { return Plain }
