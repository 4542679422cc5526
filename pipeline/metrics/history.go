package metrics

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/scratch"
)

// historyFile is the metric history: one point as JSON a line. The file is made
// when the first point comes, so that a phase without points needs no scratch
// folder.
type historyFile struct {
	folder scratch.Paths

	file  *os.File // nil while it is not open
	buf   *bufio.Writer
	lines int
}

func (h *historyFile) empty() bool { return h.lines == 0 }

// open opens the file for appending.
func (h *historyFile) open() error {
	if h.file != nil {
		return nil
	}
	path, err := h.folder.Path(FileName)
	if err == nil {
		h.file, err = os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	}
	if err != nil {
		return fmt.Errorf("metric history: %w", err)
	}
	h.buf = bufio.NewWriter(h.file)
	return nil
}

func (h *historyFile) append(points []events.Point) error {
	if len(points) == 0 {
		return nil
	}
	if err := h.open(); err != nil {
		return err
	}
	enc := json.NewEncoder(h.buf)
	for _, p := range points {
		if err := enc.Encode(p); err != nil {
			return fmt.Errorf("metric %s at step %d: %w", p.Key, p.Step, err)
		}
		h.lines++
	}
	return nil
}

// load calls each for every point that the file holds, if there is a file.
func (h *historyFile) load(each func(events.Point)) error {
	path, err := h.folder.Path(FileName)
	if err != nil {
		return err
	}
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("metric history: %w", err)
	}
	defer f.Close()
	for dec := json.NewDecoder(f); ; h.lines++ {
		var p events.Point
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("metric history: line %d: %w", h.lines+1, err)
		}
		each(p)
	}
}

// copyTo copies the points so far to another file.
func (h *historyFile) copyTo(path string) error {
	if err := h.open(); err != nil {
		return err
	}
	if err := h.buf.Flush(); err != nil {
		return fmt.Errorf("metric history: %w", err)
	}
	return copyFile(h.file.Name(), path)
}

// close may be repeated.
func (h *historyFile) close() error {
	if h.file == nil {
		return nil
	}
	err := errors.Join(h.buf.Flush(), h.file.Close())
	h.file = nil
	if err != nil {
		return fmt.Errorf("metric history: %w", err)
	}
	return nil
}

// discard closes the file. The file goes when its folder is removed.
func (h *historyFile) discard() {
	if h.file != nil {
		_ = h.file.Close() // its content does not matter any more
	}
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		return errors.Join(err, out.Close())
	}
	return out.Close()
}
