//go:build !amd64 && !arm64

package kernel

// vectorPaths are the paths of this processor beside the plain one.
func vectorPaths() []Path { return nil }
