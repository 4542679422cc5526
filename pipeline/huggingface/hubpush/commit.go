package hubpush

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/tunebus/tunebus/pipeline/huggingface/hubapi"
)

// commit is a commit of files whose large ones are uploaded.
type commit struct {
	// parent is the commit that the repository has to have.
	parent, summary string
	files           []File
	large           map[string]bool
}

// commit makes the commit, and returns its hash.
func (u uploader) commit(ctx context.Context, c commit) (string, error) {
	what := "commit to " + u.repository.String()
	response, err := u.api.Do(ctx, hubapi.Request{
		Repository: u.repository, What: what, Method: http.MethodPost, Size: -1,
		Address: u.api.APIURL(u.repository, "commit", u.repository.Revision),
		Header:  map[string]string{"Content-Type": "application/x-ndjson"},
		Body:    func(ctx context.Context) (io.ReadCloser, error) { return c.open(ctx), nil },
	})
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	var answer struct {
		OID string `json:"commitOid"`
	}
	if err := u.api.Answers.Decode(response, &answer); err != nil {
		// It may be stored: a later try finds its files there.
		return "", fmt.Errorf("%s: %w", what, err)
	}
	if !hubapi.IsCommit(answer.OID) {
		return "", fmt.Errorf("%s: %w", what, u.api.Answers.Nonsense("JSON that names no commit"))
	}
	return answer.OID, nil
}

// open returns the lines of the commit. They are written while they are read, so that
// no file is in memory as a whole.
func (c commit) open(ctx context.Context) io.ReadCloser {
	r, w := io.Pipe()
	done := make(chan struct{})
	go func() { // ends when the lines are written, or when r is closed
		defer close(done)
		out := bufio.NewWriterSize(w, 64<<10)
		err := c.write(ctx, out)
		if err == nil {
			err = out.Flush()
		}
		w.CloseWithError(err)
	}()
	return &lines{r, done}
}

// lines ends its writer before it is closed.
type lines struct {
	*io.PipeReader
	done chan struct{}
}

// Close implements [io.Closer].
func (l *lines) Close() error {
	err := l.PipeReader.Close()
	<-l.done
	return err
}

func (c commit) write(ctx context.Context, out *bufio.Writer) error {
	type line struct {
		Key   string `json:"key"`
		Value any    `json:"value"`
	}
	lines := json.NewEncoder(out) // each value ends with a line feed
	err := lines.Encode(line{"header", map[string]string{"summary": c.summary, "description": "", "parentCommit": c.parent}})
	for _, f := range c.files {
		if err != nil {
			return err
		}
		if c.large[f.Path] {
			err = lines.Encode(line{"lfsFile", map[string]any{"path": f.Path, "algo": "sha256", "oid": f.SHA256, "size": f.Size}})
			continue
		}
		err = writeFile(ctx, out, f)
	}
	return err
}

// writeFile writes the line of a file whose content is in the commit itself.
func writeFile(ctx context.Context, out *bufio.Writer, f File) (err error) {
	path, err := json.Marshal(f.Path)
	if err != nil {
		return err
	}
	content, err := f.Open(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", f.Path, err)
	}
	defer func() { err = errors.Join(err, content.Close()) }()
	if _, err := fmt.Fprintf(out, `{"key":"file","value":{"path":%s,"encoding":"base64","content":"`, path); err != nil {
		return err
	}
	encoder := base64.NewEncoder(base64.StdEncoding, out)
	if _, err := io.Copy(encoder, content); err != nil {
		return fmt.Errorf("%s: %w", f.Path, err)
	}
	if err := encoder.Close(); err != nil {
		return err
	}
	_, err = out.WriteString("\"}}\n")
	return err
}
