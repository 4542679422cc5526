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
// Of several references the best counts; each is judged on its own, so that the
// calls of a row multiply.
//
// A call that fails is made again, up to ten times with pauses that double up to
// a minute, or as long as the server asks for. That is so after a timeout, a
// broken connection, the statuses 408, 409, 425, 429 and 5xx, and after an answer
// that is not what was asked for. The statuses 401, 403 and 404, a parameter that
// the server does not support, and a quota that is used up end it at once.
//
// A row that cannot be judged has no score and an error with the reason. A [Suite]
// gives a metric up if the judge refuses, if no call succeeded for ten minutes, or
// if twenty rows failed and they are more than half. It does not matter which rows
// fail. The other metrics go on.
package judge
