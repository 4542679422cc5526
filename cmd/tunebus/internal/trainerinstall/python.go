package trainerinstall

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// The versions of Python that the locks hold for: from oldest, up to newest.
var (
	oldest = pythonVersion{3, 11, 0}
	newest = pythonVersion{3, 14, 0}
)

// pythonVersion is a version such as 3.11.7.
type pythonVersion struct{ major, minor, patch int }

func (v pythonVersion) String() string { return fmt.Sprintf("%d.%d.%d", v.major, v.minor, v.patch) }

// isSupported reports whether the locks hold for a version.
func (v pythonVersion) isSupported() bool {
	return v.major == oldest.major && v.minor >= oldest.minor && v.minor <= newest.minor
}

// wanted says which versions are supported.
func wanted() string { return fmt.Sprintf("from 3.%d to 3.%d", oldest.minor, newest.minor) }

// candidates are the names that a Python may have on the path.
func candidates() []string {
	names := []string{"python3"}
	for minor := newest.minor; minor >= oldest.minor; minor-- {
		names = append(names, fmt.Sprintf("python3.%d", minor))
	}
	return names
}

// findPython returns an interpreter of a supported version. uv brings one along where
// there is none: then it is what uv calls it.
func (o Options) findPython(ctx context.Context, hasUV bool) (string, error) {
	names := candidates()
	if o.Python != "" {
		names = []string{o.Python}
	}
	var unfit error
	for _, name := range names {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		v, err := probe(ctx, path, o.Environ)
		switch {
		case err != nil: // such as a shim without a Python behind it
			unfit = cmp.Or(unfit, err)
		case !v.isSupported():
			unfit = cmp.Or(unfit, fmt.Errorf("%s is Python %s, and %s needs one %s", path, v, o.Engine.Name, wanted()))
		default:
			return path, nil
		}
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
	}
	switch {
	case o.Python != "" && unfit == nil:
		return "", fmt.Errorf("--python %s: there is no such program", o.Python)
	case o.Python != "":
		return "", fmt.Errorf("--python: %w", unfit)
	case hasUV:
		return fmt.Sprintf(">=3.%d,<3.%d", oldest.minor, newest.minor+1), nil
	case unfit != nil:
		return "", fmt.Errorf("%w; install such a Python, name it with --python, or install uv, which brings one along", unfit)
	}
	return "", fmt.Errorf("there is no python3 on the path, and %s needs Python %s; install it, or install uv, which brings one along", o.Engine.Name, wanted())
}

// probe asks an interpreter for its version.
func probe(ctx context.Context, path string, environ []string) (v pythonVersion, err error) {
	const patience = time.Minute
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("%s does not answer within %s", path, patience))
	defer cancel()
	c := exec.CommandContext(ctx, path, "-c", "import sys; print('%d.%d.%d' % sys.version_info[:3])")
	c.Env, c.WaitDelay = environ, time.Second
	var out, problems bytes.Buffer
	c.Stdout, c.Stderr = &out, &problems
	if err := c.Run(); err != nil {
		if ctx.Err() != nil {
			return v, context.Cause(ctx)
		}
		line, _, _ := strings.Cut(strings.TrimSpace(problems.String()), "\n")
		return v, fmt.Errorf("%s does not work: %w", path, cmp.Or(textError(line), err))
	}
	if _, err := fmt.Sscanf(out.String(), "%d.%d.%d", &v.major, &v.minor, &v.patch); err != nil {
		return v, fmt.Errorf("%s is no Python: it says %.100q", path, out.String())
	}
	return v, nil
}

// textError is an error with a text of another program; nil for none.
func textError(text string) error {
	if text == "" {
		return nil
	}
	return errors.New(text)
}
