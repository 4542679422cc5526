// Package judge scores answers with a language model and with embeddings,
// through any server that speaks OpenAI's API.
//
//	name                 score                                         calls a row
//	factual_correctness  F-score of the claims of answer and truth     4, 2 in precision mode
//	answer_correctness   F-score of statements, and similarity         4
//	answer_relevancy     is the question the one that is answered      2
//	answer_accuracy      two ratings of answer against truth           2
//	semantic_similarity  cosine of the embeddings                      1
//
// The arithmetic is that of RAGAS 0.4.3's classic API, so the same verdicts give
// the same score; the prompts are our own. Where that arithmetic is doubtful, a
// second key beside the first holds the sound figure; see each metric.
//
// A row that cannot be judged has no score and an error that says why. A judge
// that cannot be reached, or that refuses, costs a [Suite] the metrics that need
// it, after a few rows, and nothing else.
package judge
