package streams

import "time"

// getRequest asks for messages of a stream. Source: NATS ADR-8 and ADR-31.
type getRequest struct {
	// Sequence and Since are where the messages start.
	Sequence uint64    `json:"seq,omitempty"`
	Since    time.Time `json:"start_time,omitzero"`
	// Next is the filter of the messages from there on. Last is a filter of
	// which the newest message is wanted. MultiLast are filters; the newest
	// message of each subject that matches one is wanted.
	Next      string   `json:"next_by_subj,omitempty"`
	Last      string   `json:"last_by_subj,omitempty"`
	MultiLast []string `json:"multi_last,omitempty"`
	// Batch and MaxBytes bound the replies to a request for several messages.
	Batch    int `json:"batch,omitempty"`
	MaxBytes int `json:"max_bytes,omitempty"`
}

// Start is where a scan starts: at a sequence, or at a time.
type Start struct {
	Sequence uint64
	Time     time.Time
}

// FromSequence starts a scan at a sequence; 1 is the start of the stream.
func FromSequence(sequence uint64) Start { return Start{Sequence: sequence} }

// FromTime starts a scan at the first message of a time.
func FromTime(t time.Time) Start { return Start{Time: t} }
