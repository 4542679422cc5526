package events_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/events/internal/contract"
)

func TestGeneratedFilesAreNotStale(t *testing.T) {
	t.Parallel()
	schemas, err := contract.Schemas(".")
	if err != nil {
		t.Fatal(err)
	}
	same := func(path string, want []byte) {
		got, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is stale; run \"go generate\" in events (%v)", path, err)
		}
	}
	for name, body := range schemas {
		same(filepath.Join("schemas", name), body)
	}
	asyncAPI, err := contract.AsyncAPI()
	if err != nil {
		t.Fatal(err)
	}
	same("asyncapi.yaml", asyncAPI)
	files, err := os.ReadDir("schemas")
	if err != nil || len(files) != len(schemas) {
		t.Errorf("%d schemas are there, want %d (%v)", len(files), len(schemas), err)
	}
	for _, typ := range events.Types() {
		if body, err := events.JSONSchema(typ); err != nil || !json.Valid(body) {
			t.Errorf("schema of %s: %v", typ, err)
		}
	}
	if _, err := events.JSONSchema("../doc"); err == nil {
		t.Error("there is a schema of no event")
	}
}

func FuzzDecode(f *testing.F) {
	for _, typ := range events.Types() {
		for _, file := range editions(typ) {
			body, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(typ, body)
		}
	}
	f.Add("finetune.started", []byte(`{"run_id":"..","phase":"finetune","attempt":-1}`))
	f.Fuzz(func(t *testing.T, typ string, body []byte) {
		ev, err := events.Decode(typ, "", body)
		if err != nil {
			return
		}
		if ev.Type() != typ {
			t.Errorf("a %s decodes as a %s", typ, ev.Type())
		}
		if fact, ok := ev.(events.Fact); ok {
			address, err := events.ParseSubject(fact.Subject())
			if err != nil || address.Type != typ {
				t.Errorf("%q is no subject of a %s: %v", fact.Subject(), typ, err)
			}
		}
		if _, err := json.Marshal(ev); err != nil {
			t.Errorf("it cannot be written again: %v", err)
		}
	})
}
