// Generate writes the JSON Schemas and the AsyncAPI document of package events.
// "go generate" runs it in the folder of that package.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/tunebus/tunebus/events/internal/contract"
)

func main() {
	if err := run("."); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run(dir string) error {
	schemas, err := contract.Schemas(dir)
	if err != nil {
		return err
	}
	asyncAPI, err := contract.AsyncAPI()
	if err != nil {
		return err
	}
	folder := filepath.Join(dir, "schemas")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for name, body := range schemas {
		if err := os.WriteFile(filepath.Join(folder, name), body, 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, "asyncapi.yaml"), asyncAPI, 0o644)
}
