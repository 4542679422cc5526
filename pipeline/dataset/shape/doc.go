// Package shape recognises how the columns of a data set hold conversations or
// texts, and makes a row of each record.
//
// # Recognition
//
// A [Survey] sees the columns and the first records. If both columns that the keys
// name hold text, they are the shape [QuestionAnswer]. Otherwise the shapes are
// tried in the order in which [Names] has them:
//
//	messages           messages: a list of objects with role and content; tools
//	conversations      conversations: a list of objects with from and value
//	prompt_completion  prompt and completion: two texts, or two lists of messages
//	alpaca             instruction and output; input, system, history
//	text               text
//	preference         chosen and rejected, texts or lists of messages; prompt, or question_column
//
// Or the key data_format says which. A record of another kind later on is an error.
//
// # Formats without lists
//
// A cell of a CSV file or a sheet holds no list. Where a shape wants one, a text
// that is the JSON of a list is read as that list, in every format. So are tools.
//
// # What is missing
//
// A record without an answer, a ground truth or a question is no error. [Converter]
// says what it lacks.
package shape
