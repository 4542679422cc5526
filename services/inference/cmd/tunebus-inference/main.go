// Tunebus-inference works on the jobs of the inference phase.
package main

import (
	"os"

	"github.com/tunebus/tunebus/pipeline/child/supervisor"
	_ "github.com/tunebus/tunebus/pipeline/cloudblob" // artifacts at s3://, gs://, azblob://
	"github.com/tunebus/tunebus/pipeline/service"
	"github.com/tunebus/tunebus/services/inference"
)

func main() {
	supervisor.Main() // returns, unless this process is to watch over a command
	os.Exit(service.Main("inference", inference.Wire))
}
