package modelserver

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/fileglob"
	"github.com/tunebus/tunebus/pipeline/modelapi"
	"github.com/tunebus/tunebus/pipeline/retry"
	"github.com/tunebus/tunebus/services/inference/inputs"
)

const (
	// loadTime is how long loading an adapter may take.
	loadTime = 5 * time.Minute
	// withdrawTime is how long unloading may take, also at the end of a job.
	withdrawTime = 15 * time.Second
	adapterFile  = "adapter_config.json"
)

// adapter is a tuned adapter at the server.
type adapter struct {
	work  *work
	share Share
	// name is that of the run and of its content, so that no two adapters share one.
	name   string
	folder string // on this machine
	rank   int
	// unload says that the server was told to load it.
	unload bool
}

// deploy makes a tuned adapter a model of the server.
func (w *work) deploy(ctx context.Context, share Share, ref events.Reference) (*adapter, error) {
	dir, err := w.job.FetchDir(ctx, ref, "tuned")
	if err != nil {
		return nil, fmt.Errorf("fetch the tuned model: %w", err)
	}
	refuse := func(why string) error {
		return engine.Permanent(codeAdapter, fmt.Errorf("the tuned model cannot answer at %s at %s: %s", w.server.name(), w.caller.client.Name, why))
	}
	switch {
	case !inputs.IsAdapter(dir):
		return nil, refuse("all weights were trained, and a server loads a whole model at its start; export it with \"tunebus export\", start the server with it, " +
			"and name it by inferencer.model_id of a run without fine-tuning, or train an adapter: fine_tuner.full_finetuning = false")
	case w.server.kind == llamaCPP:
		return nil, refuse("it loads adapters at its start alone, in the format GGUF; use vLLM, or inferencer.engine = \"transformers\" or \"builtin\"")
	case w.server.kind == ollama:
		return nil, refuse("an adapter is a part of a model there, which \"ollama create\" makes of a Modelfile; use vLLM, or inferencer.engine = \"transformers\" or \"builtin\"")
	case strings.HasPrefix(w.caller.client.Endpoint, "https://api.openai.com/"):
		return nil, refuse("OpenAI loads no adapters of others; use vLLM, or inferencer.engine = \"transformers\" or \"builtin\"")
	case share.Folder == "":
		return nil, refuse("services.inference.lora_folder is not set; name a folder that the worker and the server share, and its path on the server in services.inference.lora_path")
	}
	a := &adapter{work: w, share: share, name: adapterName(w.job.Request.RunID, ref.SHA256)}
	a.folder = filepath.Join(share.Folder, a.name)
	if err := a.copy(dir); err != nil {
		return nil, fmt.Errorf("copy the adapter to services.inference.lora_folder: %w", err)
	}
	if err := a.load(ctx); err != nil {
		a.withdraw(ctx)
		return nil, err
	}
	return a, nil
}

var notInName = regexp.MustCompile(`[^A-Za-z0-9_.-]+`)

// adapterName names an adapter by its run and its content.
func adapterName(run, digest string) string {
	clean := notInName.ReplaceAllString(run, "-")
	return "tunebus-" + clean[:min(len(clean), 60)] + "-" + digest[:min(len(digest), 12)]
}

// copy copies the adapter to the shared folder, with the base model's place on the server in
// its configuration: vLLM's resolver compares it. The folder is there whole or not at all.
func (a *adapter) copy(dir string) error {
	body, err := os.ReadFile(filepath.Join(dir, adapterFile))
	if err != nil {
		return err
	}
	var config map[string]json.RawMessage
	if err := json.Unmarshal(body, &config); err != nil {
		return fmt.Errorf("%s: %w", adapterFile, err)
	}
	_ = json.Unmarshal(config["r"], &a.rank) // it is only for messages
	config["base_model_name_or_path"], err = json.Marshal(cmp.Or(a.work.base.Root, a.work.base.ID))
	if err != nil {
		return err
	}
	if body, err = json.MarshalIndent(config, "", "  "); err != nil {
		return err
	}
	temporary, err := os.MkdirTemp(a.share.Folder, ".tunebus-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(temporary) }() // it was renamed
	weights, err := fileglob.In(dir, "adapter_model*.safetensors")
	if err != nil {
		return err
	}
	for _, from := range weights {
		to := filepath.Join(temporary, filepath.Base(from))
		if err := errors.Join(engine.CopyFile(to, from), os.Chmod(to, 0o644)); err != nil {
			return err
		}
	}
	// The server may run as another user.
	err = errors.Join(os.WriteFile(filepath.Join(temporary, adapterFile), body, 0o644), os.Chmod(temporary, 0o755)) //nolint:gosec // see above
	if err != nil {
		return err
	}
	err = os.Rename(temporary, a.folder)
	if errors.Is(err, fs.ErrExist) {
		return nil // of an earlier attempt, with the same content
	}
	return err
}

// load has the server load the adapter, unless it finds it by itself.
func (a *adapter) load(ctx context.Context) error {
	if a.share.Resolved {
		return nil
	}
	c := a.work.caller
	a.unload = true
	body := map[string]string{"lora_name": a.name, "lora_path": path.Join(cmp.Or(a.share.ServerPath, filepath.ToSlash(a.share.Folder)), a.name)}
	f, err := c.steady(ctx, "the model server at "+c.client.Name+" to load the adapter", loadTime, func(ctx context.Context) error {
		return c.client.Order(ctx, a.address("load"), body, loadTime)
	})
	status, refused := errors.AsType[*modelapi.Error](err)
	refuse := func(format string, args ...any) error {
		return engine.Permanent(codeAdapter, fmt.Errorf("%s at %s does not load the adapter %q: %w", a.work.server.name(), c.client.Name, a.name, fmt.Errorf(format, args...)))
	}
	switch {
	case err == nil:
		return nil
	case !refused:
		if f.code != "" {
			return c.jobError(f)
		}
		return err
	case strings.Contains(strings.ToLower(status.Message), "already"):
		return nil // by an earlier attempt; the name has the digest of its content
	case status.Status == http.StatusNotFound || status.Status == http.StatusMethodNotAllowed:
		what := "start vLLM with --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True, or set services.inference.lora_resolver and start it with VLLM_LORA_RESOLVER_CACHE_DIR"
		if a.work.server.kind == sglang {
			what = "start SGLang with --enable-lora"
		}
		if text := status.Message; strings.Contains(text, "adapter") || strings.Contains(text, "No such file") {
			what = fmt.Sprintf("it does not find %q; services.inference.lora_path has to be the path of services.inference.lora_folder on the server: %s", body["lora_path"], text)
		}
		return refuse("%s", what)
	case f.code != "":
		return c.jobError(f)
	}
	return refuse("%w; it has the rank %d, and vLLM loads ranks up to 16 unless it was started with a larger --max-lora-rank; "+
		"services.inference.lora_path has to be the path of services.inference.lora_folder on the server", status, a.rank)
}

// address is that of loading or unloading. SGLang has it beside /v1.
func (a *adapter) address(verb string) string {
	at := a.work.caller.client.Endpoint
	if a.work.server.kind == sglang {
		at = a.work.caller.client.Root
	}
	return at + "/" + verb + "_lora_adapter"
}

// request returns what a call names to be answered by the adapter.
func (a *adapter) request(base served) (model, lora string) {
	if a.work.server.kind == sglang {
		return base.ID, a.name
	}
	return a.name, ""
}

// withdraw unloads the adapter and removes it from the shared folder, also after a failure and
// at a shutdown. Where another attempt has the job, the adapter is that attempt's.
func (a *adapter) withdraw(ctx context.Context) {
	if errors.Is(context.Cause(ctx), retry.ErrLost) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), withdrawTime)
	defer cancel()
	if a.unload {
		err := a.work.caller.client.Order(ctx, a.address("unload"), map[string]string{"lora_name": a.name}, withdrawTime)
		if status, ok := errors.AsType[*modelapi.Error](err); err != nil && (!ok || status.Status != http.StatusNotFound && status.Status != http.StatusBadRequest) {
			f := a.work.caller.classify(err, withdrawTime)
			a.work.res.Notes = append(a.work.res.Notes, fmt.Sprintf("the adapter %q is not unloaded from the model server at %s: %v; POST %s {\"lora_name\": %q} does it",
				a.name, a.work.caller.client.Name, f.err, strings.Replace(a.address("unload"), a.work.caller.client.Endpoint, a.work.caller.client.Name, 1), a.name))
		}
	}
	if err := os.RemoveAll(a.folder); err != nil {
		a.work.res.Notes = append(a.work.res.Notes, fmt.Sprintf("the adapter %q is not removed from services.inference.lora_folder: %v", a.name, err))
	}
}
