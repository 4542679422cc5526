package events

import "encoding/json"

// Specification says what a run is: the sections fine_tuner, inferencer,
// evaluator, mlflow and pipeline as a JSON object. It travels unread; who
// runs a phase decodes the section that concerns it.
type Specification = json.RawMessage
