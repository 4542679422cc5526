// Package runconfig is the file that asks for a run: a specification, and in the
// section run what a request has beside it.
//
//	[run]
//	predictions = "answers.jsonl"           # answers to evaluate; nothing is trained
//	baseline_predictions = "base.jsonl"     # another model's answers to the same rows
//	labels = { team = "harbour" }
//
// The section stays where a person submits: a request has no such section, its
// labels and files have fields of their own. [Write] writes the file of a run
// that was accepted, from which the run can be started again.
package runconfig
