package engine

import (
	"errors"
	"io"
	"os"
)

// CopyFile copies a file into a checkpoint, for an engine that keeps appending
// to it.
func CopyFile(to, from string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	_, err = io.Copy(out, in)
	return err
}
