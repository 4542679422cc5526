package child

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/redaction"
)

// readLines calls each for every line of a stream until its end, without the secrets.
// What is longer than so many bytes is left out. Of a line that was written over, such as a progress bar, the
// last form is taken.
func readLines(r io.Reader, most int, secrets *redaction.Secrets, each func(line string)) {
	in := bufio.NewReaderSize(r, 4*most)
	for {
		chunk, err := in.ReadSlice('\n')
		whole := err == nil
		if line := lastForm(chunk); line != "" || whole {
			each(strings.ToValidUTF8(events.Cut(secrets.Hide(line), most), "\uFFFD"))
		}
		for err == bufio.ErrBufferFull { //nolint:errorlint // ReadSlice returns it as it is
			_, err = in.ReadSlice('\n')
		}
		if err != nil {
			return
		}
	}
}

// lastForm is what a terminal would show of a line in the end.
func lastForm(line []byte) string {
	line = bytes.TrimRight(line, "\r\n")
	return string(line[bytes.LastIndexByte(line, '\r')+1:])
}

const (
	// headBytes and tailBytes bound what a log keeps of its begin and of its end.
	headBytes = 1 << 20
	tailBytes = 7 << 20
)

// Log keeps the begin and the end of a long text. It is safe for concurrent use.
type Log struct {
	mu   sync.Mutex
	head []byte
	// older and newer are halves of the end. Of what was before them only the size is
	// known.
	older, newer []byte
	left         int64
}

// Add adds a line.
func (l *Log) Add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.newer) == 0 && l.left == 0 && len(l.head)+len(line) < headBytes {
		l.head = append(append(l.head, line...), '\n')
		return
	}
	if len(l.newer)+len(line) >= tailBytes/2 {
		l.left += int64(len(l.older))
		l.older, l.newer = l.newer, l.older[:0]
	}
	l.newer = append(append(l.newer, line...), '\n')
}

// WriteTo writes what is kept, and says in a line how much is not.
func (l *Log) WriteTo(w io.Writer) (n int64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var gap []byte
	if l.left > 0 {
		gap = fmt.Appendf(nil, "[%d bytes of the log are left out here]\n", l.left)
	}
	for _, part := range [][]byte{l.head, gap, l.older, l.newer} {
		m, err := w.Write(part)
		n += int64(m)
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// Tail returns the last lines, of so many bytes at most.
func (l *Log) Tail(most int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var end []byte
	for _, part := range [][]byte{l.newer, l.older, l.head} {
		if want := most - len(end); want > 0 {
			end = append(bytes.Clone(part[max(len(part)-want, 0):]), end...)
		}
	}
	if len(end) == most { // its first line is not whole
		if at := bytes.IndexByte(end, '\n'); at >= 0 {
			end = end[at+1:]
		}
	}
	return strings.TrimSpace(strings.ToValidUTF8(string(end), "\uFFFD"))
}
