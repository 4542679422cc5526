package fitting

import (
	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/pipeline/hostmemory"
)

// Left is how much memory the keys and values of rows may take.
type Left struct {
	Bytes int64
	// Of says whose memory it is, such as "the machine".
	Of string
}

// LeftOn is what a machine has left for them when the weights are read, but for a tenth for
// everything else. known is false where nothing says how much memory there is.
func LeftOn(host hostmemory.Host) (left Left, known bool) {
	free, known := host.Available()
	return Left{max(0, free.Bytes) / 10 * 9, free.Of}, known
}

// Tokens is how many tokens have room for their keys and values.
func (l Left) Tokens(of llm.Config) int { return int(l.Bytes / llm.CacheBytes(of, 1)) }

// Without is what is left beside a cache of so many tokens.
func (l Left) Without(of llm.Config, tokens int) Left {
	return Left{max(0, l.Bytes-llm.CacheBytes(of, tokens)), l.Of}
}
