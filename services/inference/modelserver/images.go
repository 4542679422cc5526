package modelserver

import (
	"context"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/dataset/row"
	"github.com/tunebus/tunebus/services/inference/modelserver/chatapi"
)

// ask has the model of a pass answer the question of a row. change, if set, edits the call.
func (w *work) ask(ctx context.Context, p pass, s events.Inferencer, r row.Row, index int64, change func(*chatapi.Request)) (chatapi.Reply, error) {
	done, err := w.images.Take(ctx, r)
	if err != nil {
		return chatapi.Reply{}, err
	}
	defer done()
	q, err := p.request(s, r, index)
	if err != nil {
		return chatapi.Reply{}, err
	}
	if w.server.kind == llamaCPP {
		q.ForLlama()
	}
	if change != nil {
		change(&q)
	}
	return w.caller.ask(ctx, q, p.reload)
}
