package bus

import "time"

// query says which messages of a stream are asked for. Source: the requests of
// NATS ADR-8 and ADR-31.
type query struct {
	// Sequence and Since are where the messages start.
	Sequence uint64    `json:"seq,omitempty"`
	Since    time.Time `json:"start_time,omitzero"`
	// Next is a filter of the messages from there on, Last one of which the
	// newest message is wanted, and MultiLast are filters of which the newest
	// message of each subject is.
	Next      string   `json:"next_by_subj,omitempty"`
	Last      string   `json:"last_by_subj,omitempty"`
	MultiLast []string `json:"multi_last,omitempty"`
	// Batch and MaxBytes bound the answers to a request for several.
	Batch    int `json:"batch,omitempty"`
	MaxBytes int `json:"max_bytes,omitempty"`
}
