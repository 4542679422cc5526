// Command gen writes the assembly of package kernel, one file for each kind of
// kernel, and the Go declarations that go with it:
//
//	gen FOLDER
//
// A kernel is described once, in the instructions of AVX, and written for three
// machines: AVX-512, whose registers hold sixteen numbers, AVX2 with FMA, where a
// vector of sixteen is two registers, and arm64's Neon, where it is four. The tiles
// of products, and what unpacks weights, are described for Neon apart.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tunebus/tunebus/llm/internal/kernel/gen/assembly"
	"github.com/tunebus/tunebus/llm/internal/kernel/gen/unpack"
)

func main() {
	if err := write(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func write(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("%d arguments; want the folder to write to", len(args))
	}
	var errs []error
	for name, body := range files() {
		errs = append(errs, os.WriteFile(filepath.Join(args[0], name), body, 0o600))
	}
	return errors.Join(errs...)
}

// files are all files that are written, by their names.
func files() map[string][]byte {
	d := &assembly.Declarations{}
	out := map[string][]byte{
		"product_amd64.s": products(d),
		"copy_amd64.s":    copies(d),
		"unpack_amd64.s":  unpack.AVX(d),
		"product_arm64.s": neonProducts(d),
		"copy_arm64.s":    neonCopies(d),
		"unpack_arm64.s":  unpack.Neon(d),
	}
	stack(d)
	out["vector_amd64.s"], out["vector_arm64.s"] = vectors(d)
	out["declared_amd64.go"], out["declared_arm64.go"], out["declared_other.go"] = d.Files(copied())
	return out
}
