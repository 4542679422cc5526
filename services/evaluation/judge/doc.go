// Package judge scores a model's answers with a language model as judge, and with
// embeddings, through any server with OpenAI's API.
//
//	client, err := judge.NewClient(judge.Config{BaseURL: address, APIKey: key, LLM: model, Embedding: embedding})
//	m, err := judge.New("answer_accuracy", client, judge.Options{})
//	outcomes, err := judge.NewSuite(m).Score(ctx, row)
//
//	name                 score                                         calls a row
//	factual_correctness  F-score of the claims of answer and truth     4, 2 in precision mode
//	answer_correctness   F-score of statements, and similarity         4
//	answer_relevancy     cosine of the question and guessed questions  2
//	answer_accuracy      two ratings of answer against truth           2
//	semantic_similarity  cosine of the embeddings                      1
//
// The arithmetic is that of RAGAS 0.4.3's classic API, so the same verdicts give
// the same score; the prompts are written for this package. Where that arithmetic
// is doubtful, a second key holds the sound figure; see each metric.
//
// A row that cannot be judged has no score and an error with the reason. If the
// judge cannot be reached or refuses, a [Suite] disables the metrics that need it
// after a few rows; the other metrics go on.
package judge
