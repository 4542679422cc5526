package events

import (
	"strconv"
	"strings"
)

// Dead letters are what services gave up: copies on dead.<stream>.<sequence>,
// where stream and sequence say where the original stands. A fact among them
// is handed back as retry.<durable>.<run>.<letter>, in the stream of facts:
// to the consumer that gave it up and to no other, once for each letter. Such
// a message says nothing new about its run. It has the body of the original,
// whose subject stands in a header.

// DeadSubject is where the letters of a message are stored; each consumer
// that gave it up wrote one.
func DeadSubject(stream string, sequence uint64) string {
	return "dead." + stream + "." + strconv.FormatUint(sequence, 10)
}

// DeadFilter matches every dead letter.
func DeadFilter() string { return "dead.>" }

const retryPrefix = "retry."

// RetrySubject hands the fact of a letter back to a durable consumer. letter
// is the letter's own sequence.
func RetrySubject(durable, run string, letter uint64) string {
	return retryPrefix + durable + "." + run + "." + strconv.FormatUint(letter, 10)
}

// RetryFilter matches what is handed back to a durable consumer; "*" stands
// for all of them.
func RetryFilter(durable string) string { return retryPrefix + durable + ".*.*" }

// IsRetry reports whether a subject is one of [RetrySubject].
func IsRetry(subject string) bool { return strings.HasPrefix(subject, retryPrefix) }
