package answers

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/fileglob"
)

const (
	// folderPrefix begins the names of the folders of jobs.
	folderPrefix = "tunebus-answers-"
	// keepTime is how long the answers of a job stay that nobody works on.
	keepTime = 7 * 24 * time.Hour
	// maxLine bounds a line. A server's response has a lower bound.
	maxLine = 64 << 20
)

// create creates the file, and returns those of earlier attempts.
func (l *Log) create() (earlier []string, err error) {
	if dir := l.cfg.Job.Resume.Dir; dir != "" {
		if path := filepath.Join(dir, fileName); exists(path) {
			earlier = append(earlier, path)
		}
	}
	if l.cfg.Folder == "" {
		path, err := l.cfg.Job.Scratch(fileName)
		if err != nil {
			return nil, err
		}
		l.file, err = os.Create(path)
		return earlier, err
	}
	sweep(l.cfg.Folder)
	l.folder = filepath.Join(l.cfg.Folder, folderName(l.cfg.Job.Request))
	if err := os.MkdirAll(l.folder, 0o700); err != nil {
		return nil, err
	}
	here, err := fileglob.In(l.folder, "attempt-*.jsonl")
	if err != nil {
		return nil, err
	}
	l.file, err = os.CreateTemp(l.folder, "attempt-*.jsonl")
	return append(earlier, here...), err
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// folderName is the name of the folder of a job. Runs of other servers may have the
// same id, but were not requested in the same nanosecond.
func folderName(r events.PhaseRequested) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%s", r.RunID, r.Phase, r.RequestedAt.UTC().Format(time.RFC3339Nano)))
	return fmt.Sprintf("%s%x", folderPrefix, sum[:12])
}

// sweep removes the folders of jobs that nobody has worked on for a long time.
func sweep(folder string) {
	old, err := fileglob.In(folder, folderPrefix+"*")
	if err != nil {
		return
	}
	for _, dir := range old {
		if time.Since(lastChange(dir)) > keepTime {
			_ = os.RemoveAll(dir) // another process may do it at the same time
		}
	}
}

// lastChange is the time of the last change below a folder.
func lastChange(dir string) (last time.Time) {
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.ModTime().After(last) {
			last = info.ModTime()
		}
		return err
	})
	if err != nil {
		return time.Now() // it is being changed
	}
	return last
}

// merge adds the answers of a file that are not there yet. A line that a killed process
// has not written whole, and one that is damaged, have no answer.
func (l *Log) merge(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 256<<10)
	out := bufio.NewWriterSize(io.NewOffsetWriter(l.file, l.size), 256<<10)
	for {
		line, err := readLine(in)
		if errors.Is(err, io.EOF) {
			return out.Flush()
		}
		if err != nil {
			return err
		}
		var a Answer
		if json.Unmarshal(line, &a) != nil || a.Row < 0 || a.Row >= l.cfg.Rows || a.Pass == "" {
			continue
		}
		if rows := l.at[a.Pass]; len(rows) > 0 && rows[a.Row].length > 0 && (a.Prediction.NoAnswer || !rows[a.Row].failed) {
			continue
		}
		if _, err := out.Write(line); err != nil {
			return err
		}
		l.index(a, len(line))
		l.cfg.Job.Advance(1)
	}
}

// readLine reads a line with its end. What stands behind the last end, and a line that
// is too long, is left out.
func readLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	long := false
	for {
		part, err := in.ReadSlice('\n')
		if long = long || len(line)+len(part) > maxLine; !long {
			line = append(line, part...)
		}
		switch {
		case err == nil && long:
			return []byte("\n"), nil
		case err == nil:
			return bytes.Clone(line), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}

// copyStart copies so many bytes from the start of a file.
func copyStart(path string, from io.ReaderAt, size int64) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = io.Copy(f, io.NewSectionReader(from, 0, size))
	return err
}
