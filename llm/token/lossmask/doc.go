// Package lossmask renders the rows of training data as a model reads them, and
// says which of their tokens count in the loss.
//
//	m := lossmask.New(tok, lossmask.Config{TrainOn: lossmask.All, ResponsesOnly: true, MaxTokens: 4096})
//	row, err := m.Conversation(lossmask.Conversation{Messages: messages})
//	for _, e := range row.Examples {
//		… e.IDs, e.Count …
//	}
//
// # What counts
//
// The part of an assistant's turn that counts is found in the text, not in the
// tokens: it is what stands between the rendering of the turns before it with
// the generation prompt, and the rendering of the turns up to it. Every token
// that overlaps this part counts. The end marker of an answer belongs to the
// part, since the chat template writes it there. Markers are never searched for,
// because they may stand in a question or in an answer too. For a row with one
// answer these are the positions of TRL's completion_only_loss
// (SFTTrainer.tokenize_fn, TRL 1.16).
//
// Where a template marks answers itself, with {% generation %}, its marks count
// for rows that are conversations, as with TRL's assistant_only_loss.
//
// # One example or several
//
// Usually a conversation is one example. Some templates render an earlier answer
// otherwise once a question follows it: they leave its reasoning out. Then no
// single text shows each answer as the model is asked for it, and each turn that
// counts becomes an example of its own, which ends with that turn.
//
// # Long conversations
//
// The renderings of all beginnings that this needs are made together, and encoded where
// they differ, so that one example takes a time that grows with the conversation, and
// several take as long as their texts are. Templates whose text of a message depends on
// more than the one after it are rendered once for each beginning
// (chattemplate.Templates.Beginnings).
//
// # Prompts that end in further text
//
// Some generation prompts end in text that the template does not write before an
// answer of the data, such as an open think block. Rows are rendered with that
// text, since inference asks with it. An open think block is closed before the
// answer, behind the reasoning of the row if it has one.
package lossmask
