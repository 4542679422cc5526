package trainer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// tellsSecretError is the error of what a trainer wrote with a secret of the worker in it.
type tellsSecretError struct{ file string } // below the folder that was looked at

func (e tellsSecretError) Error() string {
	return fmt.Sprintf("its file %s holds a secret of the worker, or the key that the trainer was given; have the trainer leave that out, and replace the secret with a new one", e.file)
}

// checkSecrets looks for secrets in the files of a folder, or in a file. Tensors are
// numbers and are not looked at.
func checkSecrets(ctx context.Context, s *session, root string) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || strings.HasSuffix(path, ".safetensors") {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		s.job.Advance(1)
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		told, err := s.trainer.TellsSecret(f)
		if err = errors.Join(err, f.Close()); err != nil || !told {
			return err
		}
		name, err := filepath.Rel(filepath.Dir(root), path)
		if err != nil {
			return err
		}
		return tellsSecretError{name}
	})
}
