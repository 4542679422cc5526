package events

// Reference identifies an artifact. Events have references, never the content.
type Reference struct {
	// Store is the id of the artifact store.
	Store string `json:"store"`
	// Key is the name in the store, with "/" between its parts.
	Key string `json:"key"`
	// MediaType is the RFC 6838 media type of the content.
	MediaType string `json:"media_type"`
	// Size is the length of the content in bytes.
	Size int64 `json:"size"`
	// SHA256 is the digest of the content, 64 lower-case hexadecimal digits.
	SHA256 string `json:"sha256"`
	// Name is the name that the file had where a person uploaded it from; its
	// extension says which format it has.
	Name string `json:"name,omitempty"`
}

// IsZero reports whether r is the zero reference.
func (r Reference) IsZero() bool { return r == Reference{} }

// Dataset identifies data that a phase read.
type Dataset struct {
	// Key is the key of the specification that named the data, section.key.
	Key string `json:"key"`
	// SHA256 identifies the content, 64 lower-case hexadecimal digits: the
	// digest of a single file, or the digest of the output of sha256sum for
	// several files.
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
	// Rows is the number of rows that the phase used.
	Rows int64 `json:"rows"`
	// RowsRead is the number of rows in the files; 0 if the phase did not count.
	RowsRead int64 `json:"rows_read,omitempty"`
	// Examples is the number of sequences that were trained on, if it is not the
	// number of rows.
	Examples int64 `json:"examples,omitempty"`
	// WithoutAnswer is the number of rows without an answer, which a training
	// leaves out, or without a ground truth, which no metric can score.
	WithoutAnswer int64 `json:"without_answer,omitempty"`
	// Dropped is the number of rows that were left out for another reason.
	Dropped int64 `json:"dropped,omitempty"`
	// CutInPrompt and CutInAnswer are the numbers of rows that are longer than the
	// longest sequence, by the place of the cut. A training cuts the end of a row,
	// inference the beginning of a prompt.
	CutInPrompt int64 `json:"cut_in_prompt,omitempty"`
	CutInAnswer int64 `json:"cut_in_answer,omitempty"`
}
