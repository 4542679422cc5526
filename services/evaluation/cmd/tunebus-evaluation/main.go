// Tunebus-evaluation works on the jobs of the evaluation phase.
package main

import (
	"os"

	_ "github.com/tunebus/tunebus/pipeline/cloudblob" // artifacts at s3://, gs://, azblob://
	"github.com/tunebus/tunebus/pipeline/service"
	"github.com/tunebus/tunebus/services/evaluation"
)

func main() { os.Exit(service.Main("evaluation", evaluation.Wire)) }
