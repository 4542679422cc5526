package delivery

import "time"

// The delays before a redelivery and their limits; the package comment has all
// of them in a table.
const (
	// nakDelay is the default of [Route.NakDelay].
	nakDelay = time.Second
	// unknownVersionDelay is the first delay of a message of an unknown version.
	unknownVersionDelay = 10 * time.Second
	// holdUnknownVersion is the default of [Router.HoldUnknownVersion]: shorter
	// than the redeliveries of a message last.
	holdUnknownVersion = 7 * 24 * time.Hour
	// retryFor is the default of [Router.RetryFor].
	retryFor = 24 * time.Hour
	// deadLetterDelay is the delay of a message whose dead letter could not be
	// stored.
	deadLetterDelay = 5 * time.Second
)

// LeftAloneDelay is how long a process gives a message back for that it leaves to a later
// one, by the number of its delivery. It is short at first, so that a later process gets
// the message soon, and longer for a process that works for days, because a consumer
// delivers a message only so many times.
func LeftAloneDelay(delivered int) time.Duration {
	const first, short, long = 100, 30 * time.Second, 10 * time.Minute
	if delivered <= first {
		return short
	}
	return long
}

// RedeliveryDelay is the delay after a number of deliveries that waited for
// something outside, such as a newer service. It grows from first to a quarter
// of an hour, so that [topology.MaxDeliver] deliveries take more than a week.
func RedeliveryDelay(delivered int, first time.Duration) time.Duration {
	return max(first, min(time.Duration(delivered)*first, 15*time.Minute))
}
