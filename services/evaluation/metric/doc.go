// Package metric scores a model's answers against the ground truth with reference
// metrics such as BLEU and ROUGE, which need no judge.
//
//	m, err := metric.New("rouge_score", metric.Options{})
//	suite := metric.Suite{m}
//	all := metric.NewAggregate(suite)
//	all.Add(suite.Score(metric.Row{Answer: "It is Paris.", GroundTruth: "Paris"}))
//	scores := all.Result()
//
// A [Metric] scores one [Row] and returns a [Sample]: scores by key, and for
// metrics that are defined on a whole corpus also the counts of which the corpus
// score is computed. The counts of rows add up, so one streaming [Aggregate]
// serves both kinds: it keeps sums, never rows.
//
// # Metrics
//
//	name         headline           other keys                meaning
//	bleu_score   bleu_score                                   RAGAS's BLEU: the answer's first sentence
//	sacrebleu    sacrebleu          sentence_bleu             corpus BLEU as sacreBLEU, 0 to 100
//	rouge_score  rouge_score        rouge1, rouge2, rougeL    rougeL F-measure with stemmer
//	exact_match  exact_match                                  equality after SQuAD normalisation
//	token_f1     token_f1                                     F1 over the bag of words, SQuAD 2.0
//	chrf         chrf               chrf_corpus               chrF2, character n-grams
//	chrfpp       chrfpp             chrfpp_corpus             chrF2++, words too
//	key_fact     key_fact_accuracy                            the row's key fact occurs in the answer
//
// All scores are between 0 and 1 and higher is better, but for sacrebleu, which
// keeps the percent of the original; [Metric.Scale] returns the scale.
//
// # Agreement
//
// The figures are those of sacreBLEU 2.6.0, rouge-score 0.1.2 with NLTK 3.10.4,
// the SQuAD 2.0 evaluation script, and RAGAS 0.4.3, to the last few bits. No Go
// library agrees with them, so the metrics, the stemmer and the tokenizer are
// implemented here. Text is handled as in Python: code points are characters,
// nothing is normalised, and lower case is the full mapping. The one exception
// is key_fact, which has no reference.
//
// Metrics are safe for concurrent use; an Aggregate is not.
package metric
