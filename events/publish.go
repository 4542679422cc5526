package events

import (
	"strconv"
	"strings"
	"time"
)

// Product is what a run has pushed to the Hub.
type Product string

// The products.
const (
	ProductModel       Product = "model"       // the tuned model
	ProductPredictions Product = "predictions" // the answers of inference, as a data set
	ProductResults     Product = "results"     // the scores of the evaluation, as a data set
)

// Products returns all products, in the order of their phases.
func Products() []Product { return []Product{ProductModel, ProductPredictions, ProductResults} }

// Phase returns the phase that makes the product.
func (p Product) Phase() Phase {
	switch p {
	case ProductPredictions:
		return Inference
	case ProductResults:
		return Evaluation
	default:
		return Finetune
	}
}

// artifact is the name of the artifact that holds the product.
func (p Product) artifact() string {
	switch p {
	case ProductPredictions:
		return ArtifactPredictions
	case ProductResults:
		return ArtifactScores
	default:
		return ArtifactModel
	}
}

// PushOutcome says what became of a push.
type PushOutcome string

// The outcomes.
const (
	// Pushed means that the Hub has the product, also if it had it before.
	Pushed PushOutcome = "pushed"
	// PushSkipped means that the product was not pushed on purpose; Reason says why.
	PushSkipped PushOutcome = "skipped"
	// PushFailed means that it could not be pushed; Error says why.
	PushFailed PushOutcome = "failed"
)

// PublishedCompleted says what became of the push of a product of a run to the Hub.
// The first push of a product is attempt 1; each later one that a person asks for
// has a subject of its own.
type PublishedCompleted struct {
	RunID   string      `json:"run_id"`
	What    Product     `json:"what"`
	Attempt int         `json:"attempt"`
	Outcome PushOutcome `json:"outcome"`
	// Repository is the id on the Hub, owner/name.
	Repository string `json:"repository,omitempty"`
	// Link is the address of the repository.
	Link string `json:"link,omitempty"`
	// Revision is the commit that holds the product.
	Revision string `json:"revision,omitempty"`
	// Tries is how often it was tried.
	Tries int `json:"tries,omitempty"`
	// Reason says why the product was skipped.
	Reason string   `json:"reason,omitempty"`
	Error  *Problem `json:"error,omitempty"`
	// Notes are about the repository, such as that it can be read by everybody.
	Notes   []string  `json:"notes,omitempty"`
	EndedAt time.Time `json:"ended_at,omitzero"`
}

// TypePublishedCompleted is the wire name of [PublishedCompleted].
const TypePublishedCompleted = "published.completed"

// Type implements [Event].
func (PublishedCompleted) Type() string { return TypePublishedCompleted }

// Subject implements [Event].
func (e PublishedCompleted) Subject() string {
	subject := TypePublishedCompleted + "." + e.RunID + "." + string(e.What)
	if e.Attempt > 1 {
		subject += "-" + strconv.Itoa(e.Attempt)
	}
	return subject
}

// Run implements [Fact].
func (e PublishedCompleted) Run() string { return e.RunID }

func (e PublishedCompleted) bounded() PublishedCompleted {
	e.Repository, e.Link = Cut(e.Repository, MaxNameBytes), Cut(e.Link, MaxNoteBytes)
	e.Revision, e.Reason = Cut(e.Revision, MaxNameBytes), Cut(e.Reason, MaxNoteBytes)
	e.Error = e.Error.bounded()
	e.Notes = boundList(e.Notes, maxPushNotes, func(n string) string { return Cut(n, MaxNoteBytes) })
	return e
}

// maxPushNotes is the largest number of notes about one push.
const maxPushNotes = 10

// addPublished keeps the newest attempt at each product.
func (r *Run) addPublished(f PublishedCompleted) {
	if r.Published == nil {
		r.Published = map[Product]PublishedCompleted{}
	}
	if f.Attempt >= r.Published[f.What].Attempt {
		r.Published[f.What] = f
	}
}

// Publishes returns the products that the run made and asks to have pushed to the
// Hub, once it has ended.
func (r Run) Publishes() []Product {
	if r.Accepted == nil || r.Completed == nil {
		return nil
	}
	var out []Product
	for _, p := range Products() {
		if _, ok := r.Product(p); ok && p.askedFor(r.Accepted.Specification) {
			out = append(out, p)
		}
	}
	return out
}

// askedFor reports whether a specification asks for a push of the product.
func (p Product) askedFor(s Specification) bool {
	switch p {
	case ProductPredictions:
		return s.FineTuner.PushToHub || s.Inferencer.HFUserID != ""
	case ProductResults:
		return s.FineTuner.PushToHub || s.Evaluator.HFUserID != ""
	default:
		return s.FineTuner.PushToHub
	}
}

// Product returns the artifact that holds a product which the run itself made.
func (r Run) Product(p Product) (Reference, bool) {
	state := r.Phases[p.Phase()]
	if state == nil || state.Completed == nil || state.Completed.Conclusion != Success {
		return Reference{}, false
	}
	return state.Completed.Artifact(p.artifact())
}

// GatesForbidPush says which of its gates keep a run that has ended from being pushed, if
// nobody wants it pushed always; empty if none does.
func (r Run) GatesForbidPush() string {
	if r.Accepted == nil || r.Completed == nil || r.Accepted.Specification.FineTuner.PushAlways {
		return ""
	}
	var missed []string
	for _, g := range r.Completed.Gates {
		if !g.Met {
			missed = append(missed, g.Metric)
		}
	}
	switch {
	case len(missed) > 0:
		return "gates are missed: " + strings.Join(missed, ", ")
	case len(r.Accepted.Specification.Evaluator.Gates) > 0 && len(r.Completed.Gates) == 0:
		return "the gates were not evaluated"
	}
	return ""
}

// Unpublished returns the products of [Run.Publishes] about which no publisher has
// said anything yet.
func (r Run) Unpublished() []Product {
	var out []Product
	for _, p := range r.Publishes() {
		if _, ok := r.Published[p]; !ok {
			out = append(out, p)
		}
	}
	return out
}
