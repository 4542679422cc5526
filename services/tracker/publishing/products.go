package publishing

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/artifact/manifest"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/huggingface/hubpush"
	"github.com/tunebus/tunebus/pipeline/modelcard"
	"github.com/tunebus/tunebus/pipeline/spec"
)

const (
	cardName    = "README.md"
	adapterName = "adapter_config.json"
	baseKey     = "fine_tuner.base_model_id"
)

// errOldForm means that a model is one tar stream, as earlier versions stored it.
var errOldForm = errors.New(`the model is stored in the form of an earlier version, which cannot be pushed; "tunebus export" writes it to a folder`)

// product is what is pushed of a run.
type product struct {
	files []hubpush.File
	notes []string
}

// product lays the files of a product out.
func (p *Publisher) product(ctx context.Context, run events.Run, what events.Product) (product, error) {
	ref, ok := run.Product(what)
	if !ok {
		return product{}, fmt.Errorf("run %s has made no %s", run.ID, what)
	}
	if err := p.store.Check(ref); err != nil {
		return product{}, err
	}
	if what == events.ProductModel {
		return p.model(ctx, run, ref)
	}
	name := string(what) + ".jsonl"
	var text bytes.Buffer
	if err := modelcard.WriteData(&text, modelcard.Data{Run: run, What: what, File: name}); err != nil {
		return product{}, err
	}
	return product{files: []hubpush.File{made(cardName, text.Bytes()), stored(p.store, name, ref)}}, nil
}

// model lays the files of the tuned model out.
func (p *Publisher) model(ctx context.Context, run events.Run, ref events.Reference) (product, error) {
	if !manifest.Is(ref) {
		return product{}, errOldForm
	}
	r, err := p.store.Get(ctx, ref)
	if err != nil {
		return product{}, err
	}
	m, err := manifest.Read(r)
	if err := errors.Join(err, r.Close()); err != nil {
		return product{}, err
	}
	_, uploaded := run.Accepted.Inputs.Files[baseKey]
	card := modelcard.Card{Run: run, Kind: modelcard.Full, Base: run.Accepted.Specification.FineTuner.BaseModelID}
	var out product
	for _, f := range m.Files {
		switch file := stored(p.store, f.Path, m.Reference(ref, f)); f.Path {
		case cardName: // ours says more
		case adapterName:
			config, base, body, err := adapterConfig(ctx, file)
			if err != nil {
				return product{}, err
			}
			card.Kind, card.AdapterConfig = modelcard.Adapter, body
			if base != card.Base { // the run began with an adapter
				card.Base = base
				_, uploaded = run.Accepted.Inputs.Files[baseKey+engine.BaseSuffix]
			}
			out.files = append(out.files, config)
		default:
			out.files = append(out.files, file)
		}
	}
	if filepath.IsAbs(card.Base) {
		card.Base = filepath.Base(card.Base)
	}
	card.BaseOnHub = !uploaded && spec.IsHubID(card.Base)
	if card.Kind == modelcard.Adapter && !card.BaseOnHub {
		out.notes = append(out.notes, fmt.Sprintf("the base model %s of the adapter is not on the Hub: who loads the adapter has to have it", card.Base))
	}
	var text bytes.Buffer
	if err := modelcard.Write(&text, card); err != nil {
		return product{}, err
	}
	out.files = append(out.files, made(cardName, text.Bytes()))
	slices.SortFunc(out.files, func(a, b hubpush.File) int { return strings.Compare(a.Path, b.Path) })
	return out, nil
}

// adapterConfig returns the configuration of an adapter as PEFT reads it, the base
// model that it names, and the file as it is stored. A revision is a key of its own there, and not a part of the id.
func adapterConfig(ctx context.Context, f hubpush.File) (_ hubpush.File, base string, body []byte, err error) {
	const most = 1 << 20
	r, err := f.Open(ctx)
	if err != nil {
		return f, "", nil, err
	}
	body, err = io.ReadAll(io.LimitReader(r, most))
	if err := errors.Join(err, r.Close()); err != nil {
		return f, "", nil, err
	}
	var config map[string]json.RawMessage
	if err := json.Unmarshal(body, &config); err != nil {
		return f, "", nil, fmt.Errorf("%s of the model: %w", adapterName, err)
	}
	if err := json.Unmarshal(config["base_model_name_or_path"], &base); err != nil {
		return f, "", nil, fmt.Errorf("%s of the model names no base model: %w", adapterName, err)
	}
	id, revision, pinned := strings.Cut(base, "@")
	if !pinned || !spec.IsHubID(base) {
		return f, base, body, nil
	}
	for key, value := range map[string]string{"base_model_name_or_path": id, "revision": revision} {
		if config[key], err = json.Marshal(value); err != nil {
			return f, "", nil, err
		}
	}
	pinnedBody, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		return f, "", nil, err
	}
	return made(adapterName, append(pinnedBody, '\n')), base, body, nil
}

// stored is a file of the artifact store.
func stored(store *artifact.Store, path string, ref events.Reference) hubpush.File {
	return hubpush.File{Path: path, Size: ref.Size, SHA256: ref.SHA256, Open: func(ctx context.Context) (io.ReadCloser, error) { return store.Get(ctx, ref) }}
}

// made is a file that is made here.
func made(path string, body []byte) hubpush.File {
	sum := sha256.Sum256(body)
	return hubpush.File{Path: path, Size: int64(len(body)), SHA256: hex.EncodeToString(sum[:]), Open: func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(body)), nil
	}}
}
