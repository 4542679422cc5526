package main

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// root is the top folder of the checkout.
var root = filepath.Join("..", "..", "..", "..")

// packages measures the tree.
func packages(t *testing.T) []*pkg {
	t.Helper()
	all, err := read(root)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// eachFile calls do with every Go file of the tree.
func eachFile(t *testing.T, do func(file)) {
	t.Helper()
	if err := walk(root, do); err != nil {
		t.Fatal(err)
	}
}

// content reads a file of the tree.
func content(t *testing.T, path string) string {
	t.Helper()
	body, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(path)))
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// parse is the file that the text would be at a path.
func parse(t *testing.T, path, text string) file {
	t.Helper()
	syntax, err := parser.ParseFile(token.NewFileSet(), path, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return file{path: path, syntax: syntax, lines: strings.Count(text, "\n")}
}
