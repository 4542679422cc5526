package publishing

import (
	"context"
	"fmt"
	"strings"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/huggingface/hubapi"
	"github.com/tunebus/tunebus/pipeline/huggingface/hubname"
)

// destination is the repository of a product.
type destination struct {
	kind hubapi.Kind
	id   string
}

// destination names the repository of a product of a run. A name that a person chose is
// checked and never changed; the name of a run is made one that the Hub takes.
func (p *Publisher) destination(ctx context.Context, run events.Run, product events.Product) (destination, error) {
	s := run.Accepted.Specification
	d := destination{kind: hubapi.Datasets}
	var owner, key string
	switch product {
	case events.ProductModel:
		d.kind = hubapi.Models
		if d.id = s.FineTuner.HubModelID; d.id != "" {
			if !strings.Contains(d.id, "/") {
				user, err := p.hub.User(ctx)
				if err != nil {
					return d, err
				}
				d.id = user + "/" + d.id
			}
			if fault := hubname.CheckRepository(d.id); fault != nil {
				return d, &invalidNameError{"fine_tuner.hub_model_id", s.FineTuner.HubModelID, fault}
			}
			return d, nil
		}
	case events.ProductPredictions:
		owner, key = s.Inferencer.HFUserID, "inferencer.hf_user_id"
	case events.ProductResults:
		owner, key = s.Evaluator.HFUserID, "evaluator.hf_user_id"
	}
	if owner == "" {
		user, err := p.hub.User(ctx)
		if err != nil {
			return d, err
		}
		owner = user
	} else if fault := hubname.CheckOwner(owner); fault != nil {
		return d, &invalidNameError{key, owner, fault}
	}
	suffix := ""
	if product != events.ProductModel {
		suffix = "-" + string(product)
	}
	d.id = owner + "/" + repositoryName(run, suffix)
	return d, nil
}

// invalidNameError means that the Hub takes no such name.
type invalidNameError struct {
	key, value string
	fault      error
}

func (e *invalidNameError) Error() string {
	return fmt.Sprintf("%s = %q: %v; push again with another name by \"tunebus rerun\"", e.key, e.value, e.fault)
}

// repositoryName is the name of a run as the Hub takes it, with a suffix; where nothing
// of the name is left, it is the run's id.
func repositoryName(run events.Run, suffix string) string {
	for _, name := range []string{run.Accepted.RunName, run.ID, "run-" + run.ID} {
		name = strings.Map(func(r rune) rune {
			switch {
			case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '_', r == '-':
				return r
			default:
				return '-'
			}
		}, name)
		for strings.Contains(name, "--") || strings.Contains(name, "..") {
			name = strings.ReplaceAll(strings.ReplaceAll(name, "--", "-"), "..", ".")
		}
		name = strings.Trim(name[:min(len(name), hubname.Max-len(suffix))], "-._")
		if name = strings.TrimSuffix(name, ".git"); name != "" && hubname.CheckRepository("x/"+name+suffix) == nil {
			return name + suffix
		}
	}
	return "run" + suffix
}
