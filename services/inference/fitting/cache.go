package fitting

import (
	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/pipeline/hostmemory"
)

// Room is how much memory the keys and values of rows may take.
type Room struct {
	Bytes int64
	// Of says whose memory it is, such as "the machine".
	Of string
}

// RoomOn is what a machine has left for them when the weights are read, but for a tenth for
// everything else. known is false where nothing says how much memory there is.
func RoomOn(host hostmemory.Host) (room Room, known bool) {
	free, known := host.Available()
	return Room{max(0, free.Bytes) / 10 * 9, free.Of}, known
}

// Tokens is how many tokens have room for their keys and values.
func (r Room) Tokens(of llm.Config) int { return int(r.Bytes / llm.CacheBytes(of, 1)) }

// Without is what is left beside a cache of so many tokens.
func (r Room) Without(of llm.Config, tokens int) Room {
	return Room{max(0, r.Bytes-llm.CacheBytes(of, tokens)), r.Of}
}
