package modelserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/modelapi"
	"github.com/tunebus/tunebus/services/inference/modelserver/chatapi"
)

// kind is what a server is.
type kind string

const (
	vllm     kind = "vLLM"
	sglang   kind = "SGLang"
	llamaCPP kind = "llama.cpp"
	ollama   kind = "Ollama"
	other    kind = "" // anything else with OpenAI's API
)

// server is what a look at a server finds.
type server struct {
	kind    kind
	version string
	models  []served // nil: it does not say
	// adapters are those that llama.cpp has loaded at its start.
	adapters []chatapi.LlamaAdapter
}

// served is a model of a server.
type served struct {
	ID     string `json:"id"`
	Root   string `json:"root"`   // where its files are; of vLLM
	Parent string `json:"parent"` // of an adapter
}

// name is the server as people know it.
func (s server) name() string {
	switch {
	case s.kind == other:
		return "a server with OpenAI's API"
	case s.version == "":
		return string(s.kind)
	}
	return string(s.kind) + " " + s.version
}

// look waits for the server, and finds out what it is.
func (c *caller) look(ctx context.Context) (server, error) {
	var s server
	var list struct {
		Data *[]served `json:"data"`
	}
	f, err := c.steady(ctx, "the model server at "+c.client.Name, chatapi.LookTime, func(ctx context.Context) error {
		err := c.client.Get(ctx, c.client.Endpoint+"/models", &list)
		if err == nil && list.Data == nil {
			err = chatapi.Garbage("it answers with other JSON than that of OpenAI's API")
		}
		return err
	})
	status, refused := errors.AsType[*modelapi.Error](err)
	switch {
	case err == nil:
		s.models = *list.Data
	case refused && status.Status == http.StatusNotFound: // it has no list; the first call says what is wrong
	case f.code != "":
		return s, c.jobError(f)
	case f.err != nil && f.again:
		return s, c.unavailable(f.err)
	case f.err != nil:
		return s, engine.Permanent(codeNoServer, fmt.Errorf("the model server at %s (services.inference.endpoint): %w", c.client.Name, f.err))
	default:
		return s, err
	}
	c.identify(ctx, &s)
	s.version = c.client.Hide(s.version)
	c.server = s
	return s, ctx.Err()
}

// identify finds out which server it is, by addresses that only one of them has.
func (c *caller) identify(ctx context.Context, s *server) {
	if c.client.Root == c.client.Endpoint || strings.HasPrefix(c.client.Endpoint, "https://api.openai.com/") {
		return
	}
	look := func(path string, keys ...string) map[string]json.RawMessage {
		var fields map[string]json.RawMessage
		if c.client.Get(ctx, c.client.Root+path, &fields) != nil {
			return nil
		}
		for _, key := range keys {
			if _, ok := fields[key]; !ok {
				return nil
			}
		}
		return fields
	}
	text := func(raw json.RawMessage) (t string) {
		_ = json.Unmarshal(raw, &t) // what is no text is no version
		return t
	}
	if f := look("/version", "version"); f != nil {
		s.kind, s.version = vllm, text(f["version"])
	} else if f := look("/props", "default_generation_settings"); f != nil {
		s.kind, s.version = llamaCPP, text(f["build_info"])
		s.adapters = c.loadedAdapters(ctx)
	} else if f := look("/api/version", "version"); f != nil {
		s.kind, s.version = ollama, text(f["version"])
	} else if f := look("/get_model_info", "model_path", "tokenizer_path"); f != nil {
		s.kind = sglang
	}
}

// loadedAdapters returns the adapters of llama.cpp, switched off.
func (c *caller) loadedAdapters(ctx context.Context) (off []chatapi.LlamaAdapter) {
	var list []struct {
		ID int `json:"id"`
	}
	if c.client.Get(ctx, c.client.Root+"/lora-adapters", &list) != nil {
		return nil
	}
	for _, a := range list {
		off = append(off, chatapi.LlamaAdapter{ID: a.ID})
	}
	return off
}

// find returns the model of the server that a name means: its id, or the place of its
// files.
func (s server) find(name string) (served, error) {
	if s.models == nil {
		return served{ID: name}, nil
	}
	for _, m := range s.models {
		if m.ID == name && m.Parent == "" {
			return m, nil
		}
	}
	for _, m := range s.models {
		if m.Root == name && m.Parent == "" || s.kind == ollama && m.ID == name+":latest" {
			return m, nil
		}
	}
	if s.kind == llamaCPP && len(s.models) == 1 { // it has one, under the name of a file
		return s.models[0], nil
	}
	return served{}, fmt.Errorf("it has no model %q; it has %s", name, s.listed())
}

// listed names the models of the server for people.
func (s server) listed() string {
	const most = 8
	var names []string
	for _, m := range s.models {
		if m.Parent == "" {
			names = append(names, fmt.Sprintf("%q", m.ID))
		}
	}
	slices.Sort(names)
	switch n := len(names); {
	case n == 0:
		return "none"
	case n > most:
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", n-most)
	}
	return strings.Join(names, ", ")
}
