// Package interop holds tests with the real transformers, PEFT and MLflow: what
// tunebus tuned has to answer there as it did here, and published chat templates
// have to render there as they do here.
//
// The tests need the build tag interop and a Python environment, which "make
// test-interop" makes outside of the repository. Nothing else runs them: a
// machine without Python has all other tests.
package interop
