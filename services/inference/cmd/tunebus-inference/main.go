// Tunebus-inference works on the jobs of the inference phase.
package main

import (
	"os"

	_ "github.com/tunebus/tunebus/pipeline/cloudblob" // artifacts at s3://, gs://, azblob://
	"github.com/tunebus/tunebus/pipeline/service"
	"github.com/tunebus/tunebus/services/inference"
)

func main() { os.Exit(service.Main("inference", inference.Wire)) }
