// Package inference is the inference phase: its engine has the tuned model
// answer the questions of the test set. The base model answers them too where
// the run asks for a baseline.
package inference
