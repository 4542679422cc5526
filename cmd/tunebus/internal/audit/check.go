package audit

import (
	"fmt"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/audit/snapshot"
)

// Kind is a kind of fault.
type Kind string

// The kinds of faults.
const (
	Lost       Kind = "lost"       // something must exist and does not
	Duplicated Kind = "duplicated" // something exists twice, or was done twice
	Stuck      Kind = "stuck"      // something waits for an event that will never come
	Torn       Kind = "torn"       // something is damaged, or contradicts something else
	Failed     Kind = "failed"     // a run has another conclusion than expected
	Left       Kind = "left"       // something exists that must not
	Repeated   Kind = "repeated"   // more work was repeated than necessary
)

// Fault is one thing that is wrong.
type Fault struct {
	Kind Kind
	// Object names the faulty thing: a subject, a key, a folder.
	Object string
	Text   string
}

func (f Fault) String() string { return fmt.Sprintf("%s: %s: %s", f.Kind, f.Object, f.Text) }

// findings collects faults.
type findings struct {
	faults []Fault
}

func (f *findings) add(kind Kind, object, text string, args ...any) {
	f.faults = append(f.faults, Fault{kind, object, fmt.Sprintf(text, args...)})
}

// Check returns all faults of s.
func Check(s snapshot.State) []Fault {
	found := &findings{}
	h := readHistory(s, found)
	artifacts := artifactAudit{findings: found, store: s.Store, objects: s.Artifacts, referenced: map[string]bool{}}
	tracking := trackingAudit{findings: found, tracked: s.Tracked, objects: s.Artifacts}
	causality := causalityAudit{findings: found, consumers: s.Consumers, ends: s.Ends}
	attempts := attemptAudit{findings: found}
	steps := stepAudit{findings: found, outages: s.Outages}
	reports := reportAudit{findings: found, files: s.Reports, list: s.List}

	checkResponses(s.Requests, h.responses, found)
	deletions := deletionAudit{findings: found, objects: s.Artifacts, tracked: s.Tracked, referenced: artifacts.referenced}
	var deleted []*runHistory
	for _, run := range h.runs {
		if run.isDeleted() {
			deleted = append(deleted, run)
			continue
		}
		causality.check(run)
		attempts.check(run)
		steps.check(run)
		artifacts.check(run)
		tracking.check(run)
		reports.check(run)
	}
	for _, run := range deleted { // others may refer to their artifacts
		deletions.check(run)
	}
	checkKnownRuns(s, h, found)
	checkSettled(s.Consumers, found)
	checkDeadLetters(s.Dead, h.responses, found)
	artifacts.checkUnreferenced()
	checkLeftovers(s, found)
	return found.faults
}
