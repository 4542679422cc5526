package runcmd_test

import (
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
)

// newHub serves folders as repositories of a Hub, models/owner/name and
// datasets/owner/name, to whoever has the token.
func newHub(t *testing.T, token string, repositories map[string]string) string {
	t.Helper()
	const commit = "0123456789abcdef0123456789abcdef01234567"
	mux := http.NewServeMux()
	for name, dir := range repositories {
		mux.HandleFunc("/api/"+name+"/revision/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, `{"sha":%q}`, commit) })
		mux.HandleFunc("/api/"+name+"/tree/"+commit, func(w http.ResponseWriter, _ *http.Request) {
			var list []map[string]any
			err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
				if err != nil || d.IsDir() {
					return err
				}
				body, err := os.ReadFile(path)
				sum := sha1.Sum(append(fmt.Appendf(nil, "blob %d\x00", len(body)), body...))
				rel, _ := filepath.Rel(dir, path) // both are absolute or both are not
				list = append(list, map[string]any{"type": "file", "path": filepath.ToSlash(rel), "size": len(body), "oid": hex.EncodeToString(sum[:])})
				return err
			})
			if err != nil {
				t.Error(err)
			}
			_ = json.NewEncoder(w).Encode(list)
		})
		files := http.StripPrefix("/"+strings.TrimPrefix(name, "models/")+"/resolve/"+commit, http.FileServer(http.Dir(dir)))
		mux.Handle("/"+strings.TrimPrefix(name, "models/")+"/resolve/"+commit+"/", files)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+token {
			http.Error(w, "who are you", http.StatusUnauthorized)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// TestModelAndDataOfTheHub runs with nothing but ids of a Hub. The token
// comes from the environment and appears nowhere.
func TestModelAndDataOfTheHub(t *testing.T) {
	t.Chdir(clitest.Root())
	data := t.TempDir()
	for split, from := range map[string]string{"train": "validation", "test": "validation"} {
		body, err := os.ReadFile("configs/quickstart/" + from + ".jsonl")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(data, split+".jsonl"), body, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const token = "hf_not_for_anybody"
	t.Setenv("HF_TOKEN", token)
	t.Setenv("HF_ENDPOINT", newHub(t, token, map[string]string{"models/owner/base": "configs/quickstart/base-model", "datasets/owner/data": data}))
	dir := t.TempDir()
	t.Setenv("TUNEBUS_DATA_HUB_CACHE", filepath.Join(dir, "hub"))
	var out, screen bytes.Buffer
	status := cli.Main(t.Context(), append([]string{
		"run", "--json", "-v", "--set", "fine_tuner.base_model_id=owner/base", "--set", "fine_tuner.training_data_id=owner/data",
		"--set", "inferencer.testing_data_id=owner/data@main", "--set", "fine_tuner.max_sequence_length=128", "--set", "fine_tuner.epochs=1",
		"--set", "fine_tuner.rank=4", "--set", "inferencer.max_new_tokens=4", "--set", "inferencer.temperature=0",
	}, clitest.Folders(dir)...), &out, &screen)
	if status != 0 {
		t.Fatalf("exit status %d\n%s%s", status, out.String(), screen.String())
	}
	if strings.Contains(out.String()+screen.String(), token) {
		t.Error("the token is on the screen")
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := os.ReadFile(path)
		if bytes.Contains(body, []byte(token)) {
			t.Errorf("the token is in %s", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
