package intake

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/archive"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/pipeline/spec"
)

// Request admits a request or rejects it.
func (s *Service) Request(ctx context.Context, d delivery.Delivery) error {
	req, ok := d.Event.(events.PipelineRequested)
	if !ok {
		return &delivery.DeadLetterError{Err: fmt.Errorf("%s is no request", d.Subject)}
	}
	// Whoever was here before and did not live to acknowledge may have
	// admitted the request, under the same id.
	id := RunID(d.Message)
	if req.RunID != "" {
		id = req.RunID
	}
	var old events.Run
	if events.ValidToken(id) {
		var err error
		old, err = s.where(d, req).Run(ctx, id)
		if err != nil && !unreadable(err) {
			return err
		}
		if old.Accepted != nil && old.Accepted.Lineage.RequestSequence == d.Sequence {
			if old.Completed != nil {
				return nil // and it may have been archived since
			}
			return journal.New(s.bus).PublishNext(ctx, *old.Accepted, old)
		}
		if err != nil {
			return s.reject(ctx, d, req, []events.Fault{taken(id)})
		}
	}
	if err := s.room(ctx); err != nil {
		return err
	}
	accepted, faults, err := s.decide(ctx, d, req, id)
	if err != nil {
		return err
	}
	if old.Accepted != nil {
		faults = append(faults, taken(id))
	}
	if len(faults) > 0 {
		return s.reject(ctx, d, req, faults)
	}
	_, err = journal.New(s.bus).Publish(ctx, accepted, journal.Fence{})
	var lost *journal.FencedError
	if errors.As(err, &lost) {
		return s.reject(ctx, d, req, []events.Fault{taken(id)})
	}
	if err != nil {
		return err
	}
	s.cfg.Logger.Info("run accepted", "run", id, "name", accepted.RunName, "phases", len(accepted.Plan))
	return journal.New(s.bus).PublishNext(ctx, accepted, events.Fold([]events.Fact{accepted}))
}

// fresh is how long nothing that a request led to can have left the stream.
const fresh = time.Minute

// where is where the run of a request may be by now. One that is just being
// delivered for the first time, under an id that nobody else uses, is not in
// the archive; to look there costs a call to the artifact store.
func (s *Service) where(d delivery.Delivery, req events.PipelineRequested) Runs {
	if req.RunID == "" && d.Delivered == 1 && time.Since(d.Time) < fresh {
		return history.New(s.bus)
	}
	return s.cfg.Runs
}

func taken(id string) events.Fault {
	return events.Fault{Key: "run_id", Value: id, Message: "a run with this id exists already; leave run_id out, or choose another"}
}

// room makes a request wait while the stream of facts is too full.
func (s *Service) room(ctx context.Context) error {
	fill, err := s.fill(ctx)
	if err != nil {
		return err
	}
	if fill < s.cfg.FullAt {
		return nil
	}
	s.cfg.Logger.Error("no new runs: the stream of facts is nearly full; archive ended runs or raise its limit", "fill", fill)
	return &delivery.RetryAfter{Delay: s.cfg.Recheck, Err: fmt.Errorf("stream %s is %.0f %% full", events.StreamFacts, 100*fill)}
}

// fill is how full the stream of facts was within the last second.
func (s *Service) fill(ctx context.Context) (float64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.looked) < time.Second {
		return s.filled, nil
	}
	fill, err := topology.NewInspector(s.bus).StreamUsage(ctx, events.StreamFacts)
	if err != nil {
		return 0, err
	}
	s.looked, s.filled = time.Now(), fill
	return fill, nil
}

// Undecodable answers a request that is none, and gives it up.
func (s *Service) Undecodable(ctx context.Context, d delivery.Delivery, cause error) error {
	fault := events.Fault{Key: "request", Allowed: "a CloudEvent, or its data alone, as JSON", Message: cause.Error()}
	if err := s.reject(ctx, d, events.PipelineRequested{}, []events.Fault{fault}); err != nil {
		return err
	}
	return &delivery.DeadLetterError{Err: cause}
}

// unreadable reports whether a run has a fact that cannot be read, now or
// ever; in any case there is such a run.
func unreadable(err error) bool {
	var unknown *events.UnknownVersionError
	var malformed *events.MalformedError
	return errors.As(err, &unknown) || errors.As(err, &malformed) || errors.Is(err, archive.ErrDamaged)
}

// decide works out the accepted fact, or every fault of the request.
func (s *Service) decide(ctx context.Context, d delivery.Delivery, req events.PipelineRequested, id string) (events.PipelineAccepted, []events.Fault, error) {
	faults := check(req, id)
	if d.PlainJSON { // a person wrote it
		faults = append(faults, UnknownKeys(d.Data)...)
	}
	w, more, err := s.want(ctx, req)
	if err != nil {
		return events.PipelineAccepted{}, nil, err
	}
	faults = append(faults, more...)
	more, err = s.queues(ctx, w.plan)
	if err != nil {
		return events.PipelineAccepted{}, nil, err
	}
	faults = append(faults, more...)
	return events.PipelineAccepted{
		RunID: id, RunName: runName(req, w.specification, id), RequestedAt: d.Time, Specification: w.specification,
		Plan: w.plan, Labels: w.labels, Inputs: w.inputs,
		Lineage: events.Lineage{RequestSequence: d.Sequence, RerunOf: req.RerunOf, ReplayOf: req.ReplayOf},
	}, faults, nil
}

// queues finds the steps whose queue nobody has declared.
func (s *Service) queues(ctx context.Context, plan []events.Step) ([]events.Fault, error) {
	var faults []events.Fault
	for _, step := range plan {
		has := false
		if events.ValidToken(step.Queue) {
			var err error
			if has, err = topology.NewInspector(s.bus).HasQueue(ctx, step.Phase, step.Queue); err != nil {
				return nil, err
			}
		}
		if !has {
			faults = append(faults, events.Fault{Key: spec.Section(step.Phase) + ".queue", Value: step.Queue,
				Message: fmt.Sprintf("nobody has declared this queue of %s; \"tunebus setup\" declares queues", step.Phase)})
		}
	}
	return faults, nil
}

func (s *Service) reject(ctx context.Context, d delivery.Delivery, req events.PipelineRequested, faults []events.Fault) error {
	fact := events.PipelineRejected{RequestSequence: d.Sequence, RunID: req.RunID, Faults: faults}
	_, err := journal.New(s.bus).Publish(ctx, fact, journal.Fence{})
	var lost *journal.FencedError
	if err != nil && !errors.As(err, &lost) {
		return err
	}
	s.cfg.Logger.Warn("request rejected", "request", d.Sequence, "faults", len(faults), "first", faults[0].Key+": "+faults[0].Message)
	return nil
}

// RunID is the id of the run that a request makes unless it names one: a
// ULID of the request's time and a hash of its place, so that a request that
// is delivered again makes the same run.
func RunID(m codec.Message) string {
	h := sha256.Sum256([]byte(m.Stream + "/" + strconv.FormatUint(m.Sequence, 10) + "/" + m.Time.UTC().Format(time.RFC3339Nano)))
	var id ulid.ULID
	_ = id.SetTime(ulid.Timestamp(m.Time)) // fails in the year 10889
	_ = id.SetEntropy(h[:10])              // exactly the length it wants
	return id.String()
}

// runName is the requested name with its prefix and suffix, or a generated
// one that can be said aloud.
func runName(req events.PipelineRequested, s events.Specification, id string) string {
	name := req.RunName
	if name == "" {
		name = s.MLflow.RunName
	}
	if name == "" {
		h := sha256.Sum256([]byte(id))
		adjectives := [...]string{"amber", "brisk", "calm", "deft", "early", "fond", "grand", "hardy", "ideal", "jolly", "keen", "lucid", "merry", "noble", "olive", "proud"}
		nouns := [...]string{"badger", "comet", "dune", "ember", "finch", "grove", "heron", "inlet", "juniper", "kestrel", "lagoon", "maple", "nimbus", "otter", "pebble", "quartz"}
		name = fmt.Sprintf("%s-%s-%03d", adjectives[h[0]%16], nouns[h[1]%16], binary.BigEndian.Uint16(h[2:])%1000)
	}
	return s.MLflow.RunNamePrefix + name + s.MLflow.RunNameSuffix
}
