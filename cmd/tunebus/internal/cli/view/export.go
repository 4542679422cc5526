package view

import (
	"fmt"
	"io"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/modelexport"
	"github.com/tunebus/tunebus/pipeline/modelcard"
)

// Exported is a folder that a model was written to.
func Exported(r modelexport.Result) Result {
	return Result{r, func(w io.Writer) {
		what := map[modelcard.Kind]string{
			modelcard.Adapter: "the adapter for " + r.Base,
			modelcard.Merged:  "the whole model: the adapter merged into " + r.Base,
			modelcard.Full:    "the whole model",
		}[r.Kind]
		fmt.Fprintf(w, "%s: %s, %s, %s; its README.md has the lines that load it\n", r.Folder, what, count(len(r.Files), "file"), byteSize(r.Bytes))
	}}
}
