// Tunebus-finetune works on the jobs of the fine-tuning phase.
package main

import (
	"os"

	_ "github.com/tunebus/tunebus/pipeline/cloudblob" // artifacts at s3://, gs://, azblob://
	"github.com/tunebus/tunebus/pipeline/service"
	"github.com/tunebus/tunebus/services/finetune"
)

func main() { os.Exit(service.Main("finetune", finetune.Wire)) }
