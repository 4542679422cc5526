package artifact_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
)

func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "store-*")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	store, err := artifact.Open(ctx, "file://"+filepath.ToSlash(dir))
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	key, err := artifact.Key("keen-badger-108", events.Evaluation, 1, "scores.json")
	if err != nil {
		log.Fatal(err)
	}
	ref, err := store.Put(ctx, key, "application/json", strings.NewReader(`{"rougeL": 0.42}`))
	if err != nil {
		log.Fatal(err)
	}
	r, err := store.Get(ctx, ref)
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	content, err := io.ReadAll(r)
	if err != nil {
		log.Fatal(err) // a CorruptError if the content is not what ref describes
	}
	fmt.Println(ref.Key, ref.Size)
	fmt.Println(string(content))
	// Output:
	// runs/keen-badger-108/evaluation/1/scores.json 16
	// {"rougeL": 0.42}
}
