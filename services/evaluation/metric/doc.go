// Package metric scores a model's answer against the truth, without a judge.
//
// A [Metric] scores one [Row] and gives a [Sample]: scores by key, and for
// metrics that are defined on a whole corpus also the counts that the corpus
// score is made of. Counts of rows add up, so one streaming [Aggregate] serves
// both kinds: it keeps sums, never rows.
//
// # Metrics
//
//	name         headline           other keys                what
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
// keeps the percent that its name promises; [Metric.Scale] tells the two apart.
//
// # Agreement
//
// The figures are those of sacreBLEU 2.6.0, rouge-score 0.1.2 with NLTK 3.10.4,
// the SQuAD 2.0 evaluation script, and RAGAS 0.4.3, to the last few bits. For
// that, text is treated as Python treats it: code points are characters,
// nothing is normalised, and lower case is the full mapping. The one exception
// is key_fact, which has no reference and is made for readers.
//
// Metrics are safe for concurrent use; an Aggregate is not.
package metric
