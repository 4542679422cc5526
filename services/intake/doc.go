// Package intake is the front desk of the pipeline. It turns a request into
// an accepted run with its plan, or into a rejection that names every fault;
// it sees to it that a cancelled run ends even when nobody works on it; and
// it asks for the cancellation of a run whose deadline has passed.
package intake
