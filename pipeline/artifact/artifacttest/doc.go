// Package artifacttest is the conformance suite for implementations of
// [artifact.Backend].
//
//	func TestBackend(t *testing.T) {
//		artifacttest.TestBackend(t, func(t *testing.T) artifact.Backend { return openEmpty(t) })
//	}
package artifacttest
