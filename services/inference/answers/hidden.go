package answers

import (
	"context"
	"fmt"

	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/redaction"
)

// withoutSecrets returns an answer in which no secret of the worker stands.
func (l *Log) withoutSecrets(a Answer) Answer {
	p := &a.Prediction
	for _, text := range []*string{&p.Answer, &p.Reasoning, &p.Error, &p.FinishReason} {
		clean, changed := l.cfg.Secrets.HideIn(*text)
		*text, a.Hidden = clean, a.Hidden || changed
	}
	return a
}

// WarnOfHidden warns of the answers of a pass, which were written to a file of that name,
// in which a secret of the worker stood: they are no longer what the model said.
func (l *Log) WarnOfHidden(ctx context.Context, pass, file string) {
	if n := l.hidden[pass]; n > 0 {
		engine.Warn(ctx, l.cfg.Job, fmt.Sprintf("%s: %d of %d answers repeat a secret of this worker, such as the key of the model server; %s stands in its place, and their scores are those of the changed answers. "+
			"What to do: replace that secret with a new one, since the model or its server tells it", file, n, l.cfg.Rows, redaction.Hidden))
	}
}
