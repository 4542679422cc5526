package events

import (
	"strconv"
	"strings"
)

// A dead letter is a copy of a message that a consumer could not handle, with the
// subject dead.<stream>.<sequence> of the original. A fact is redriven as
// retry.<consumer>.<run>.<sequence of the dead letter> in the stream of facts. Only
// the consumer that wrote the dead letter receives it, once for each dead letter.
// A redriven message has the body of the original, and the original subject in a
// header. It has no new information about its run.

// DeadLetterSubject returns the subject of the dead letters of a message. Each
// consumer that could not handle the message stores one.
func DeadLetterSubject(stream string, sequence uint64) string {
	return "dead." + stream + "." + strconv.FormatUint(sequence, 10)
}

// DeadLetterFilter returns the filter for all dead letters.
func DeadLetterFilter() string { return "dead.>" }

const redrivePrefix = "retry."

// RedriveSubject returns the subject that redrives a fact to a durable consumer.
// sequence is the sequence of the dead letter.
func RedriveSubject(consumer, run string, sequence uint64) string {
	return redrivePrefix + consumer + "." + run + "." + strconv.FormatUint(sequence, 10)
}

// RedriveFilter returns the filter for the facts that are redriven to a durable
// consumer; "*" means all consumers.
func RedriveFilter(consumer string) string { return redrivePrefix + consumer + ".*.*" }

// IsRedrive reports whether a subject is a [RedriveSubject].
func IsRedrive(subject string) bool { return strings.HasPrefix(subject, redrivePrefix) }
