package request_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/services/intake/request"
)

// TestNameOfRejected: a rejected request is found by the name that its run would have.
func TestNameOfRejected(t *testing.T) {
	t.Parallel()
	for want, req := range map[string]events.PipelineRequested{
		"asked":         {RunName: "asked"},
		"pre-asked":     {RunName: "asked", Specification: json.RawMessage(`{"mlflow":{"run_name_prefix":"pre-","run_name":"other"}}`)},
		"in the file":   {Specification: json.RawMessage(`{"mlflow":{"run_name":"in the file"},"fine_tuner":{"epochs":"many"}}`)},
		"":              {Specification: json.RawMessage(`{"mlflow":{"run_name_prefix":"pre-"}}`)},
		"beside broken": {RunName: "beside broken", Specification: json.RawMessage(`{`)},
	} {
		if got := request.NameOfRejected(req); got != want {
			t.Errorf("%+v has the name %q, want %q", req, got, want)
		}
	}
	if got := request.NameOfRejected(events.PipelineRequested{RunName: strings.Repeat("n", 1000)}); got != "" {
		t.Errorf("a name that no run may have is kept: %q", got)
	}
}
