package events

import (
	"slices"
	"unicode/utf8"
)

// The bounds of an event. Texts are counted as encoding/json writes them between
// their quotes, so that "<" takes six bytes.
const (
	// MaxEventBytes is the largest size of a message with its envelope and its
	// headers.
	MaxEventBytes = 64 << 10
	// MaxRunBytes is the largest size of what every job of a run repeats:
	// specification, labels, name and plan together, as JSON.
	MaxRunBytes = 32 << 10
	// MaxInputBytes is the largest size of the inputs of a request, as JSON.
	MaxInputBytes = 12 << 10
	// MaxErrorBytes is the longest message of a [Problem].
	MaxErrorBytes = 4 << 10
	// MaxNoteBytes is the longest note, reason, link, value of a label, or
	// message of a [Fault].
	MaxNoteBytes = 1 << 10
	// MaxNameBytes is the longest name: of a run, a worker, a metric, a label, an
	// artifact and so on.
	MaxNameBytes = 200

	// MaxLogLineBytes is the longest line of a log, MaxLogLines the largest number of
	// lines of a batch.
	MaxLogLineBytes = 2 << 10
	MaxLogLines     = 25

	// MaxNotes is the largest number of notes, gaps or links.
	MaxNotes = 50
	// MaxNumbers is the largest number of statistics, of scores, and of points.
	MaxNumbers = 200
	// MaxGates is the largest number of gates.
	MaxGates = 100
	// MaxFaults is the largest number of faults in a rejection.
	MaxFaults = 100
	// MaxArtifacts is the largest number of artifacts of a phase.
	MaxArtifacts = 24
	// MaxDatasets is the largest number of data sets of a phase.
	MaxDatasets = 4

	// MinServerPayload is the smallest max_payload of a server that tunebus works
	// with: an event, and as much again for what a dead letter adds.
	MinServerPayload = 128 << 10

	// maxDataBytes is the largest size of an event's data. The envelope and the
	// headers take the rest.
	maxDataBytes = MaxEventBytes - 2<<10
)

// cutMark ends a text that was cut.
const cutMark = "…"

// TextSize returns the bytes that encoding/json writes for a text, without the
// quotes.
func TextSize(text string) int {
	size := 0
	for i := 0; i < len(text); {
		n, width := runeSize(text[i:])
		size, i = size+n, i+width
	}
	return size
}

// Cut returns a text of at most limit bytes, as [TextSize] counts them. A longer
// text is cut between two characters and ends with "…".
func Cut(text string, limit int) string {
	if len(text)*6 <= limit { // nothing takes more than 6 bytes for 1
		return text
	}
	size, keep := 0, 0 // keep is the longest start that leaves room for the mark
	for i := 0; i < len(text); {
		n, width := runeSize(text[i:])
		if size += n; size > limit {
			return text[:keep] + cutMark
		}
		if i += width; size <= limit-len(cutMark) {
			keep = i
		}
	}
	return text
}

// runeSize returns the bytes that encoding/json writes for the first character
// of a text, and the bytes that the character has in the text.
func runeSize(text string) (size, width int) {
	switch c := text[0]; {
	case c == '"' || c == '\\' || c == '\b' || c == '\f' || c == '\n' || c == '\r' || c == '\t':
		return 2, 1
	case c < ' ' || c == '<' || c == '>' || c == '&':
		return 6, 1
	case c < utf8.RuneSelf:
		return 1, 1
	}
	r, width := utf8.DecodeRuneInString(text)
	if r == '\u2028' || r == '\u2029' || r == utf8.RuneError && width == 1 {
		return 6, width
	}
	return width, width
}

// Count returns a number for people, with a comma before each three digits.
func Count[N ~int | ~int64](n N) string {
	var digits []byte
	for rest, i := n, 0; rest > 0 || i == 0; rest, i = rest/10, i+1 {
		if i > 0 && i%3 == 0 {
			digits = append(digits, ',')
		}
		digits = append(digits, byte('0'+rest%10))
	}
	slices.Reverse(digits)
	return string(digits)
}
