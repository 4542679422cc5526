// Package normalize makes names and values that every MLflow store accepts and
// keeps: it replaces forbidden characters and cuts texts at MLflow's limits.
//
// MLflow refuses a whole request because of one bad name, and its stores differ
// in what they change silently. Both targets write normalized values, so both
// hold the same, and a repeated call finds what the first call wrote.
package normalize
