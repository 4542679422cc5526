package dataset_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/tunebus/tunebus/pipeline/dataset"
	"github.com/tunebus/tunebus/pipeline/dataset/row"
	"github.com/tunebus/tunebus/pipeline/dataset/source"
)

// TestConversationsAreThoseOfTRL: a chat template gets the messages and tools that TRL
// hands to it (testdata/conversations.py). TRL leaves the senders of ShareGPT as they
// are, which no template knows.
func TestConversationsAreThoseOfTRL(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("testdata/conversations.json")
	if err != nil {
		t.Fatal(err)
	}
	type conversation struct {
		Messages []map[string]any
		Prompted int
		Tools    any
	}
	var cases map[string][]conversation
	if err := json.Unmarshal(raw, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) != 7 {
		t.Fatalf("%d cases", len(cases))
	}
	for name, want := range cases {
		files, err := filepath.Glob("testdata/cases/" + name + "/train.*")
		if err != nil || len(files) != 1 {
			t.Fatalf("%q, %v", files, err)
		}
		d, err := dataset.Open(t.Context(), source.Source{Path: files[0]}, training())
		if err != nil {
			t.Fatal(err)
		}
		var got []conversation
		for r, err := range d.Rows(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			c := conversation{Prompted: r.Prompted}
			if err := json.Unmarshal(row.Conversation(r.Messages), &c.Messages); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(r.Tools.AppendJSON(nil), &c.Tools); err != nil {
				t.Fatal(err)
			}
			got = append(got, c)
		}
		for _, c := range want {
			for _, m := range c.Messages {
				if role, ok := map[any]string{"human": row.User, "gpt": row.Assistant}[m["role"]]; ok {
					m["role"] = role
				}
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n%v\nwant\n%v", name, got, want)
		}
	}
}
