package request

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/oklog/ulid/v2"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/spec"
)

// RunID returns the run id for a request that has none: a ULID of the time at
// which the stream stored the request and of a hash of its position. So every
// delivery of a request has the same run id.
func RunID(stream string, sequence uint64, stored time.Time) string {
	h := sha256.Sum256([]byte(stream + "/" + strconv.FormatUint(sequence, 10) + "/" + stored.UTC().Format(time.RFC3339Nano)))
	var id ulid.ULID
	_ = id.SetTime(ulid.Timestamp(stored)) // fails in the year 10889
	_ = id.SetEntropy(h[:10])              // fails only for another length
	return id.String()
}

// RunName returns the requested name with its prefix and suffix, or else a
// name that is generated from the run id and easy to pronounce.
func RunName(req events.PipelineRequested, s events.Specification, runID string) string {
	if name := cmp.Or(req.RunName, s.MLflow.RunName); name == "" {
		req.RunName = generatedName(runID)
	}
	return spec.AskedName(req.RunName, s)
}

func generatedName(runID string) string {
	adjectives := [...]string{
		"amber", "brisk", "calm", "deft", "early", "fond", "grand", "hardy",
		"ideal", "jolly", "keen", "lucid", "merry", "noble", "olive", "proud",
	}
	nouns := [...]string{
		"badger", "comet", "dune", "ember", "finch", "grove", "heron", "inlet",
		"juniper", "kestrel", "lagoon", "maple", "nimbus", "otter", "pebble", "quartz",
	}
	h := sha256.Sum256([]byte(runID))
	return fmt.Sprintf("%s-%s-%03d", adjectives[h[0]%16], nouns[h[1]%16], binary.BigEndian.Uint16(h[2:])%1000)
}

// NameOfRejected is the name that a rejected request asks for; empty if it asks for none, or for
// one that no run may have.
func NameOfRejected(req events.PipelineRequested) string {
	var s events.Specification
	// Only this section is read, and only what can be read of it: the whole of a large
	// request was checked already, which takes a hundred times its size.
	_ = json.Unmarshal(mlflowSection(req.Specification), &s.MLflow)
	name := cmp.Or(req.RunName, s.MLflow.RunName)
	if name == "" {
		return ""
	}
	if name = spec.AskedName(req.RunName, s); len(name) > events.MaxNameBytes || !utf8.ValidString(name) {
		return ""
	}
	return name
}

// mlflowSection is the section mlflow of a specification as JSON; empty if there is none, or if
// the text is no JSON.
func mlflowSection(specification json.RawMessage) json.RawMessage {
	var sections struct {
		MLflow json.RawMessage `json:"mlflow"`
	}
	_ = json.Unmarshal(specification, &sections)
	return sections.MLflow
}

// Readable are the id, the name and the labels of a request that cannot be decoded, as far as
// they can be read one by one: whoever published it knows it by them. An id that no run may
// have is none.
func Readable(body []byte) (req events.PipelineRequested) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil {
		return req
	}
	_ = json.Unmarshal(fields["run_id"], &req.RunID)
	if !events.ValidToken(req.RunID) {
		req.RunID = ""
	}
	_ = json.Unmarshal(fields["run_name"], &req.RunName)
	if json.Unmarshal(fields["labels"], &req.Labels) != nil {
		req.Labels = nil
	}
	req.Specification = fields["specification"]
	return req
}
