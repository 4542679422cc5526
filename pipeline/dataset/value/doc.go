// Package value has the cells of data sets: texts, numbers, lists and objects, the
// same for every file format.
//
// A value that is missing is not an empty text, a list is never turned into text,
// and an object keeps the order of its keys, because chat templates write tools in
// that order. [Value.Text] is the one rule for what a value is as text.
package value
