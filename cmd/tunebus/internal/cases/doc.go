// Package cases holds small inputs with what the program has to make of them: the
// folders of testdata, each with a want.json. Its test runs the whole program on
// each of them. It has no code outside its tests.
//
// A want.json lists runs. "what" is "train" (fine-tuning, and with test data
// inference and evaluation, by the recipe of the test), "test" (inference with the
// base model, and evaluation) or "answers" (evaluation of a file of answers).
// "keys" are keys of the specification with paths relative to the folder, and
// "template" is a chat template for the base model, and "base" are other values of keys
// in its files of JSON. What has to come out: the exit
// status, words that the program says, for what trains the text, the ids and the
// counted positions of each row, and scores. Of a refusal the message has to be said
// once, before any phase starts, and name no folder that the person does not know.
//
// testdata/rows.py writes the rows with transformers and TRL; the rest is written by
// hand.
package cases
