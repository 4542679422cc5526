// Command structure measures the source tree, and its tests limit it: methods
// per type, lines and files per package, imports between packages, names.
//
//	go run ./internal/structure                     # this tree
//	go run ./internal/structure -tree ../../before  # another checkout
//
// It only parses the files, so it measures every commit, also one that does
// not compile. Tests, generated files and folders called testdata do not
// count. Its tests hold the tree to limits of size, to the import table and to
// the lists of the Makefile and of .ci/tests, and the documents for people who
// change the code to names that exist.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	tree := flag.String("tree", "../..", "folder of the checkout")
	flag.Parse()
	packages, err := read(*tree)
	if err == nil {
		err = printTables(os.Stdout, packages)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "structure:", err)
		os.Exit(1)
	}
}
