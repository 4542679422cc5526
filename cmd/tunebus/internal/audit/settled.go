package audit

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/audit/snapshot"
	"github.com/tunebus/tunebus/events"
)

// checkResponses checks that each request has exactly one response.
func checkResponses(requests []snapshot.Message, responses map[uint64][]string, found *findings) {
	requested := map[uint64]bool{}
	for _, m := range requests {
		requested[m.Sequence] = true
		switch got := responses[m.Sequence]; len(got) {
		case 0:
			found.add(Lost, fmt.Sprintf("request %d", m.Sequence), "was neither accepted nor rejected")
		case 1:
		default:
			found.add(Duplicated, fmt.Sprintf("request %d", m.Sequence), "was answered by %s", strings.Join(got, " and "))
		}
	}
	for sequence, subjects := range responses {
		if !requested[sequence] {
			found.add(Torn, subjects[0], "answers request %d, which does not exist", sequence)
		}
	}
}

// checkSettled checks that no consumer has an unsettled message.
func checkSettled(consumers []snapshot.Consumer, found *findings) {
	for _, c := range consumers {
		if c.Unsettled() > 0 {
			found.add(Stuck, c.Stream+"/"+c.Name, "%d messages wait for it, and %d are not settled", c.Pending, c.AckPending)
		}
	}
}

// checkDeadLetters checks that the only dead letters are requests that were
// rejected, one dead letter each.
func checkDeadLetters(dead []snapshot.Message, responses map[uint64][]string, found *findings) {
	seen := map[string]bool{}
	for _, m := range dead {
		text, isRequest := strings.CutPrefix(m.Subject, "dead."+events.StreamRequests+".")
		sequence, err := strconv.ParseUint(text, 10, 64)
		switch {
		case strings.HasPrefix(m.Subject, "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED."):
			// The server publishes this advisory for each dead letter.
		case seen[m.Subject]:
			found.add(Duplicated, m.Subject, "is a second dead letter of one message")
		case !isRequest || err != nil || !isRejection(responses[sequence]):
			found.add(Lost, m.Subject, "became a dead letter")
		}
		seen[m.Subject] = true
	}
}

func isRejection(responses []string) bool {
	return len(responses) == 1 && strings.HasPrefix(responses[0], events.TypePipelineRejected+".")
}
