// Tunebus-tracker turns the events of all runs into MLflow runs and reports.
package main

import (
	"os"

	_ "github.com/tunebus/tunebus/pipeline/cloudblob" // artifacts at s3://, gs://, azblob://
	"github.com/tunebus/tunebus/pipeline/service"
	"github.com/tunebus/tunebus/services/tracker"
)

func main() { os.Exit(service.Main("tracker", tracker.Wire)) }
