// Command print prints the version that it was built from.
package main

import (
	"fmt"

	"github.com/tunebus/tunebus/pipeline/version"
)

func main() { fmt.Println(version.Current()) }
