// Package regularfile opens files of models. What has the name of one and is a folder, a
// named pipe or a device is refused before it is opened: opening a pipe waits for whoever
// writes into it, for ever if nobody does.
//
//	body, err := regularfile.Read("model/config.json")
package regularfile

import (
	"errors"
	"io/fs"
	"os"
)

var (
	errFolder = errors.New("it is a folder; want a file")
	errPipe   = errors.New("it is a named pipe; want a regular file")
	errOther  = errors.New("it is no regular file; want one")
)

// Open is [os.Open] of a regular file, or of a link to one. An error is a [*fs.PathError].
func Open(path string) (*os.File, error) {
	if err := check(path); err != nil {
		return nil, err
	}
	return os.Open(path)
}

// Read is [os.ReadFile] of a regular file, or of a link to one. An error is a
// [*fs.PathError].
func Read(path string) ([]byte, error) {
	if err := check(path); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

// check returns the error of a path that is no regular file, and of no link to one. The
// error is a [*fs.PathError].
func check(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	fault := errOther
	switch mode := info.Mode(); {
	case mode.IsRegular():
		return nil
	case mode.IsDir():
		fault = errFolder
	case mode&fs.ModeNamedPipe != 0:
		fault = errPipe
	}
	return &fs.PathError{Op: "open", Path: path, Err: fault}
}
