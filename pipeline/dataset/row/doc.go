// Package row has the rows of data sets as engines read them, whatever shape the
// data has: a conversation, or a plain text.
//
// A chat template gets a conversation without loss: [Conversation] is its
// messages as JSON, with the keys in the order of the file.
package row
