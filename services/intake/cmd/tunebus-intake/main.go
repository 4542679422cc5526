// Tunebus-intake is the service that admits runs: it validates requests, cancels
// runs, and enforces deadlines.
package main

import (
	"os"

	_ "github.com/tunebus/tunebus/pipeline/cloudblob" // artifacts at s3://, gs://, azblob://
	"github.com/tunebus/tunebus/pipeline/service"
	"github.com/tunebus/tunebus/services/intake"
)

func main() { os.Exit(service.Main("intake", intake.Wire)) }
