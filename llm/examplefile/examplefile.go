// Package examplefile keeps the tokens of a training in a file, so that a data set
// of any size can be trained on. In memory are 16 bytes for each example.
//
//	w, err := examplefile.Create(path)
//	for … {
//		err = w.Add(example)
//	}
//	examples, err := w.Examples() // an [llm.Examples]
//	defer examples.Close()
//
// # Format
//
// An example is its ids, 4 bytes each, little-endian, followed by one bit for each
// of them that says whether it counts. The file is scratch: it has no header, and
// only the process that wrote it reads it.
package examplefile

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"github.com/tunebus/tunebus/llm"
)

// place is where an example lies in the file, and what its size is.
type place struct {
	offset          int64
	tokens, counted uint32
}

// Writer writes examples. It is not safe for concurrent use.
type Writer struct {
	file   *os.File
	w      *bufio.Writer
	places []place
	offset int64
	buffer []byte
}

// Create creates the file.
func Create(path string) (*Writer, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("create the file of tokens: %w", err)
	}
	const buffered = 256 << 10
	return &Writer{file: f, w: bufio.NewWriterSize(f, buffered)}, nil
}

// Add appends an example.
func (w *Writer) Add(e llm.Example) error {
	w.buffer = w.buffer[:0]
	for _, id := range e.IDs {
		w.buffer = binary.LittleEndian.AppendUint32(w.buffer, uint32(id))
	}
	bits := len(w.buffer)
	w.buffer = append(w.buffer, make([]byte, (len(e.IDs)+7)/8)...)
	for i, counts := range e.Count[:min(len(e.Count), len(e.IDs))] {
		if counts {
			w.buffer[bits+i/8] |= 1 << (i % 8)
		}
	}
	if _, err := w.w.Write(w.buffer); err != nil {
		return fmt.Errorf("write tokens: %w", err)
	}
	w.places = append(w.places, place{offset: w.offset, tokens: uint32(len(e.IDs)), counted: uint32(e.Counted())})
	w.offset += int64(len(w.buffer))
	return nil
}

// Close closes the file of a writer that is given up.
func (w *Writer) Close() error { return w.file.Close() }

// Examples ends the writing. The writer must not be used any more.
func (w *Writer) Examples() (*File, error) {
	if err := w.w.Flush(); err != nil {
		return nil, errors.Join(fmt.Errorf("write tokens: %w", err), w.file.Close())
	}
	return &File{file: w.file, places: w.places}, nil
}

// File implements [llm.Examples]. It is safe for concurrent use.
type File struct {
	file   *os.File
	places []place
}

// Close closes the file.
func (f *File) Close() error { return f.file.Close() }

// Len implements [llm.Examples].
func (f *File) Len() int { return len(f.places) }

// Tokens implements [llm.Examples].
func (f *File) Tokens(i int) (all, counted int) {
	return int(f.places[i].tokens), int(f.places[i].counted)
}

// Example implements [llm.Examples].
func (f *File) Example(i int) (llm.Example, error) {
	n := int(f.places[i].tokens)
	raw := make([]byte, 4*n+(n+7)/8)
	if _, err := f.file.ReadAt(raw, f.places[i].offset); err != nil {
		return llm.Example{}, fmt.Errorf("read tokens: %w", err)
	}
	e := llm.Example{IDs: make([]int32, n), Count: make([]bool, n)}
	for j := range n {
		e.IDs[j] = int32(binary.LittleEndian.Uint32(raw[4*j:]))
		e.Count[j] = raw[4*n+j/8]>>(j%8)&1 == 1
	}
	return e, nil
}
