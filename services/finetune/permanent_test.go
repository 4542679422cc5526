package finetune

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/pipeline/engine"
)

// TestForeignTokensAreNotTriedAgain: every attempt would meet the same token.
func TestForeignTokensAreNotTriedAgain(t *testing.T) {
	t.Parallel()
	s := events.FineTuner{BaseModelID: "mine"}
	err := permanent(fmt.Errorf("train: %w", &llm.TokenError{ID: 9, Vocab: 8}), s)
	failure, ok := errors.AsType[*engine.JobError](err)
	if !ok || !failure.Permanent || failure.Code != "bad_model" || !strings.Contains(err.Error(), `fine_tuner.base_model_id = "mine"`) || !strings.Contains(err.Error(), "has the id 9") {
		t.Errorf("%v", err)
	}
	if other := errors.New("the disk is full"); permanent(other, s) != other { //nolint:errorlint // it is to be the same
		t.Error("every error is permanent")
	}
}
