//go:build !unix

package trainerinstall

// freeBytes cannot tell here.
func freeBytes(string) (free int64, ok bool) { return 0, false }
