package mlflowsync

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact/manifest"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/modelcard"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/services/tracker/mlflow"
)

// modelName is the name of the model of a run in MLflow, and of its folder.
const modelName = "model"

// mlflowModel is a tuned model in the layout that mlflow.transformers reads:
//
//	MLmodel                what the folder holds, and how it is loaded
//	model/                 a whole model, or the base model that only the store has
//	peft/                  an adapter
//	components/tokenizer/  the tokenizer
//	README.md              the model card
type mlflowModel struct {
	files []mlflow.Artifact
	// peft is set if the model is an adapter.
	peft bool
	// base names the base model; baseInside is set if the folder holds it, and
	// localBase is else where it is loaded from.
	base       string
	baseInside bool
	localBase  string
}

// modelWriter writes the tuned model of a run to one target.
type modelWriter struct {
	target     mlflow.Target
	experiment string
	files      storedFiles
	// gaps name what MLflow will lack for good.
	gaps []string
}

// put stores the tuned model as a logged model whose source is the MLflow run, and
// as a folder of that run where the run does not show its logged models. What is
// there already is not sent again. The logged model is empty where the server has
// none.
func (w *modelWriter) put(ctx context.Context, id string, run events.Run, ref events.Reference) (loggedModel, error) {
	m, err := w.modelOf(ctx, run, ref)
	if err != nil {
		return loggedModel{}, err
	}
	at := run.Phases[events.Finetune].Completed.EndedAt
	model, finished, err := w.target.EnsureModel(ctx, w.experiment, id, mlflow.LoggedModel{
		Name: modelName, At: at, Tags: []mlflow.Tag{{Key: mlflow.TagRunID, Value: run.ID}},
	})
	if errors.Is(err, mlflow.ErrNoModels) {
		return loggedModel{}, w.putFolder(ctx, id, m, at) // it is all that an older server takes
	}
	if err == nil && !w.target.ShowsModels() {
		err = w.putFolder(ctx, id, m, at)
	}
	if err == nil && !finished {
		err = m.each(ctx, m.mlmodel(id, model, at), func(a mlflow.Artifact) error { return w.target.PutModelFile(ctx, model, a) })
		if err == nil {
			err = w.target.FinishModel(ctx, model)
		}
	}
	return loggedModel{id: model, run: id}, err
}

// putFolder stores a model as a folder of an MLflow run, unless it is there.
func (w *modelWriter) putFolder(ctx context.Context, id string, m mlflowModel, at time.Time) error {
	there, err := w.target.ListArtifacts(ctx, id, modelName)
	if err != nil || slices.ContainsFunc(there, func(i mlflow.ArtifactInfo) bool { return path.Base(i.Path) == mlmodelName }) {
		return err
	}
	return m.each(ctx, m.mlmodel(id, "", at), func(a mlflow.Artifact) error {
		a.Path = modelName + "/" + a.Path
		return w.target.PutArtifact(ctx, id, a)
	})
}

// each calls put for all files, MLmodel last: where it is, all are.
func (m mlflowModel) each(ctx context.Context, mlmodel string, put func(mlflow.Artifact) error) error {
	for _, f := range append(slices.Clone(m.files), content(mlmodelName, []byte(mlmodel))) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := put(f); err != nil {
			return err
		}
	}
	return nil
}

// modelOf lays the files of a tuned model out.
func (w *modelWriter) modelOf(ctx context.Context, run events.Run, ref events.Reference) (mlflowModel, error) {
	m := mlflowModel{base: run.Accepted.Specification.FineTuner.BaseModelID}
	stored, err := w.files.folder(ctx, ref)
	if err != nil {
		return m, err
	}
	m.peft = slices.ContainsFunc(stored.Files, func(f manifest.File) bool { return f.Path == "adapter_config.json" })
	card := modelcard.Card{Run: run, Kind: modelcard.Full, Base: m.base, BaseOnHub: onHub(run)}
	folder := "model/"
	if m.peft {
		folder, card.Kind = "peft/", modelcard.Adapter
	}
	for _, f := range stored.Files {
		if f.Path == "README.md" {
			continue // ours says more
		}
		a := w.files.file(folder+f.Path, stored.Reference(ref, f))
		m.files = append(m.files, a)
		if isTokenizer(f.Path) {
			a.Path = "components/tokenizer/" + f.Path
			m.files = append(m.files, a)
		}
	}
	if m.peft {
		config := adapterConfig(ctx, m.files)
		if err := w.addBase(ctx, run, &m, baseOf(config)); err != nil {
			return m, err
		}
		card.AdapterConfig = config
		if name := baseOf(config); name != "" && name != card.Base { // the run began with an adapter
			_, uploaded := run.Accepted.Inputs.Files[baseKey+engine.BaseSuffix]
			card.Base, card.BaseOnHub = name, !uploaded && spec.IsHubID(name)
			if filepath.IsAbs(name) { // the folders of a machine are nobody else's business
				card.Base = filepath.Base(name)
			}
		}
	}
	var text bytes.Buffer
	if err := modelcard.Write(&text, card); err != nil {
		return m, err
	}
	m.files = append(m.files, content("README.md", text.Bytes()))
	return m, nil
}

// isTokenizer reports whether a file belongs to a tokenizer.
func isTokenizer(name string) bool {
	return strings.HasPrefix(name, "tokenizer") || strings.HasPrefix(name, "additional_chat_templates/") ||
		slices.Contains([]string{"special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt", "chat_template.jinja"}, name)
}

// onHub reports whether the base model of a run came from the Hub.
func onHub(run events.Run) bool {
	_, uploaded := run.Accepted.Inputs.Files[baseKey]
	return !uploaded && spec.IsHubID(run.Accepted.Specification.FineTuner.BaseModelID)
}

const baseKey = "fine_tuner.base_model_id"

// localStore begins the store of a reference whose key is a path of this
// machine.
const localStore = "local:"

// addBase says where the base model of an adapter is loaded from: its id of the
// Hub, the folder in which it lies, or, if only the store has it, the folder
// of the model. name is the one that the adapter has for it.
func (w *modelWriter) addBase(ctx context.Context, run events.Run, m *mlflowModel, name string) error {
	if name != "" && name != m.base && spec.IsHubID(name) {
		m.base, m.localBase = name, hubName(name) // the run began with an adapter
		return nil
	}
	ref, uploaded := run.Accepted.Inputs.Files[baseKey+engine.BaseSuffix]
	if !uploaded {
		ref, uploaded = run.Accepted.Inputs.Files[baseKey]
	}
	switch {
	case !uploaded:
		m.localBase = hubName(m.base) // or a path below the data roots
		return nil
	case strings.HasPrefix(ref.Store, localStore):
		m.localBase = ref.Key
		return nil
	case ref.Store != w.files.store.ID() || !manifest.Is(ref):
		m.localBase = m.base
		w.gaps = append(w.gaps, "the base model of the adapter lies in another store or is a tar of an earlier version: mlflow.transformers.load_model needs its folder as base_model_path")
		return nil
	}
	stored, err := w.files.folder(ctx, ref)
	if err != nil {
		return err
	}
	m.baseInside = true
	for _, f := range stored.Files {
		m.files = append(m.files, w.files.file("model/"+f.Path, stored.Reference(ref, f)))
	}
	return nil
}

// hubName is an id of the Hub without its revision, which MLflow has no place
// for.
func hubName(id string) string {
	name, _, _ := strings.Cut(id, "@")
	return name
}

// adapterConfig is the file that describes an adapter; empty if it cannot be read.
func adapterConfig(ctx context.Context, files []mlflow.Artifact) []byte {
	i := slices.IndexFunc(files, func(a mlflow.Artifact) bool { return a.Path == "peft/adapter_config.json" })
	if i < 0 {
		return nil
	}
	r, err := files[i].Open(ctx)
	if err != nil {
		return nil
	}
	defer func() { _ = r.Close() }() // it was only read
	const most = 1 << 20
	body, err := io.ReadAll(io.LimitReader(r, most))
	if err != nil {
		return nil
	}
	return body
}

// baseOf is the base model that an adapter itself names; empty if it names none.
func baseOf(config []byte) string {
	var c struct {
		Base string `json:"base_model_name_or_path"`
	}
	if json.Unmarshal(config, &c) != nil {
		return ""
	}
	return c.Base
}

const mlmodelName = "MLmodel"

// mlmodel is the file MLmodel, for the flavour transformers. Its texts are JSON
// strings, which are YAML.
func (m mlflowModel) mlmodel(runID, modelID string, at time.Time) string {
	var b strings.Builder
	q := func(text string) string {
		body, _ := json.Marshal(text) // of a text: never fails
		return string(body)
	}
	b.WriteString("flavors:\n  transformers:\n    code: null\n    components:\n    - tokenizer\n" +
		"    instance_type: TextGenerationPipeline\n    task: text-generation\n    tokenizer_type: AutoTokenizer\n" +
		"    pipeline_model_type: AutoModelForCausalLM\n")
	fmt.Fprintf(&b, "    source_model_name: %s\n", q(m.base))
	switch {
	case m.peft && m.baseInside:
		b.WriteString("    model_binary: model\n    peft_adaptor: peft\n")
	case m.peft:
		fmt.Fprintf(&b, "    local_base_model_path: %s\n    peft_adaptor: peft\n", q(m.localBase))
	default:
		b.WriteString("    model_binary: model\n")
	}
	fmt.Fprintf(&b, "mlflow_version: 3.0.0\nrun_id: %s\n", q(runID))
	if modelID != "" {
		fmt.Fprintf(&b, "model_id: %s\n", q(modelID))
	}
	fmt.Fprintf(&b, "utc_time_created: %s\n", q(at.UTC().Format("2006-01-02 15:04:05.000000")))
	return b.String()
}
