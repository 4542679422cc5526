// Package interop holds tests with the real transformers, PEFT and MLflow: what
// tunebus tuned has to answer there as it did here, published chat templates have
// to render there as they do here, and tokenizers of published models have to make
// the same ids and texts.
//
// The tests need the build tag interop, a Python environment and the tokenizers, which
// "make test-interop" makes outside of the repository. Nothing else runs them: a
// machine without Python has all other tests.
package interop
