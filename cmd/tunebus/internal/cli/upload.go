package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/artifact/transfer"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// The uploads that no key of a specification names.
const (
	uploadPredictions = "predictions"
	uploadBaseline    = "baseline_predictions"
)

// uploads finds the local files that the flags and these keys name. What is
// neither there nor a Hub id is a fault.
func (q *asked) uploads(paths []spec.Path) (map[string]string, structconf.Faults) {
	out := map[string]string{}
	var faults structconf.Faults
	for name, path := range map[string]string{uploadPredictions: q.predictions, uploadBaseline: q.baseline} {
		if path == "" {
			continue
		}
		if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
			faults = append(faults, structconf.Fault{Key: "--" + strings.ReplaceAll(name, "_", "-"), Value: path, Message: "no such file"})
		}
		out[name] = path
	}
	for _, p := range paths {
		path := p.Value
		if !filepath.IsAbs(path) {
			path = filepath.Join(q.folders[p.Key], path)
		}
		if _, err := os.Stat(path); err == nil {
			out[p.Key] = path
		} else if !spec.IsHubID(p.Value) {
			faults = append(faults, structconf.Fault{Key: p.Key, Value: p.Value, Message: fmt.Sprintf("no such file or folder (%s), and no id of the Hugging Face Hub", path)})
		}
	}
	return out, faults
}

// read are the keys of a specification that its plan reads.
func read(s events.Specification) []spec.Path {
	return slices.DeleteFunc(spec.Paths(s), func(p spec.Path) bool { return !needed(s, p.Phase) })
}

func needed(s events.Specification, p events.Phase) bool {
	for _, step := range spec.Plan(s) {
		if step.Phase == p || p == events.Finetune && step.Phase == events.Inference {
			return true
		}
	}
	return false
}

// upload stores the files for a run and returns references to them.
func upload(ctx context.Context, store *artifact.Store, run string, files map[string]string) (map[string]events.Reference, error) {
	out := map[string]events.Reference{}
	for key, path := range files {
		name := "uploads/" + run + "/" + strings.ReplaceAll(key, ".", "-")
		info, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("upload %s: %w", key, err)
		}
		var ref events.Reference
		if info.IsDir() {
			ref, err = transfer.New(store).PutDir(ctx, name+".tar", path)
		} else {
			ref, err = transfer.New(store).PutFile(ctx, name+strings.ToLower(filepath.Ext(path)), "application/octet-stream", path)
		}
		if err != nil {
			return nil, fmt.Errorf("upload %s: %w", key, err)
		}
		out[key] = ref
	}
	return out, nil
}

// inputs are what a request says about the files that were uploaded.
func inputs(refs map[string]events.Reference) events.Inputs {
	in := events.Inputs{Files: map[string]events.Reference{}}
	for name, ref := range refs {
		switch name {
		case uploadPredictions:
			in.Predictions = &ref
		case uploadBaseline:
			in.BaselinePredictions = &ref
		default:
			in.Files[name] = ref
		}
	}
	return in
}
