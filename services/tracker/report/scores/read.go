package scores

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
)

// Opener opens the scores artifact from its beginning.
type Opener func(ctx context.Context) (io.ReadCloser, error)

// Read reads the artifact line by line. It ends after the first error, which
// names the line.
func Read(ctx context.Context, open Opener) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		source, err := open(ctx)
		if err != nil {
			yield(Row{}, fmt.Errorf("open scores: %w", err))
			return
		}
		more, err := readRows(ctx, source, func(row Row) bool { return yield(row, nil) })
		if err = errors.Join(err, source.Close()); err != nil && more {
			yield(Row{}, err)
		}
	}
}

// readRows calls use for every row, until use returns false. more is false in
// that case.
func readRows(ctx context.Context, source io.Reader, use func(Row) bool) (more bool, err error) {
	lines := bufio.NewReaderSize(source, 1<<16)
	for n := 1; ; n++ {
		if err := ctx.Err(); err != nil {
			return true, err
		}
		line, readErr := lines.ReadBytes('\n')
		if readErr != nil && !errors.Is(readErr, io.EOF) {
			return true, fmt.Errorf("read scores: line %d: %w", n, readErr)
		}
		if strings.TrimSpace(string(line)) != "" {
			var row Row
			if err := json.Unmarshal(line, &row); err != nil {
				return true, fmt.Errorf("read scores: line %d: %w", n, err)
			}
			if !use(row) {
				return false, nil
			}
		}
		if readErr != nil {
			return true, nil
		}
	}
}
