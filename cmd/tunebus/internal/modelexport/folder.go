package modelexport

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/llm"
)

// isExported reports whether an export writes files of such a name, which
// would say another model if they stayed.
func isExported(name string) bool {
	dir, file := filepath.Split(filepath.FromSlash(name))
	if dir != "" && dir != baseFolder+string(filepath.Separator) {
		return false
	}
	return file == "config.json" || file == "adapter_config.json" || isWeights(file)
}

// isWeights reports whether a file holds weights, or says where they are.
func isWeights(name string) bool {
	switch filepath.Ext(name) {
	case ".safetensors", ".bin", ".pt", ".pth", ".h5", ".msgpack", ".gguf", ".onnx":
		return true
	}
	return strings.HasSuffix(name, ".index.json")
}

// isBeside reports whether a file belongs to a whole model and holds no
// weights: its configuration, its tokenizer, its templates, its licence.
func isBeside(name string) bool {
	switch {
	case isWeights(name), strings.HasPrefix(name, "."), strings.HasPrefix(name, "adapter_"):
		return false
	case strings.HasPrefix(strings.ToLower(name), "license"), strings.HasPrefix(strings.ToLower(name), "notice"):
		return true
	}
	return slices.Contains([]string{".json", ".jinja", ".txt", ".model", ".py"}, filepath.Ext(name))
}

// templates is the folder of further chat templates.
const templates = "additional_chat_templates"

// copyBeside copies what belongs to a whole model and holds no weights.
func copyBeside(from, to string) error {
	names, _, err := list(from)
	if err != nil {
		return err
	}
	for _, name := range names {
		dir, file := filepath.Split(filepath.FromSlash(name))
		if !isBeside(file) || dir != "" && dir != templates+string(filepath.Separator) {
			continue
		}
		if err := copyFile(filepath.Join(from, name), filepath.Join(to, name), func(int64) {}); err != nil {
			return err
		}
	}
	return nil
}

// copyAll copies all files but those of other tools, whose names begin with a
// dot.
func copyAll(ctx context.Context, from, to string, on func(int64)) error {
	names, _, err := list(from)
	if err != nil {
		return err
	}
	for _, name := range names {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := copyFile(filepath.Join(from, filepath.FromSlash(name)), filepath.Join(to, filepath.FromSlash(name)), on); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string, on func(int64)) (err error) {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	n, err := io.Copy(out, in)
	on(n)
	return err
}

// list lists the files below a folder, with "/" between the parts of a path,
// sorted, and adds their sizes up. Hidden files and folders are left out; links
// to files are followed.
func list(dir string) (names []string, size int64, err error) {
	return listIf(dir, func(name string) bool { return !strings.HasPrefix(name, ".") })
}

// listAll is [list] with what is hidden.
func listAll(dir string) (names []string, size int64, err error) {
	return listIf(dir, func(string) bool { return true })
}

// listIf lists the files whose names, and those of their folders, are wanted.
func listIf(dir string, wanted func(name string) bool) (names []string, size int64, err error) {
	root, err := filepath.EvalSymlinks(dir) // a walk does not follow a link, not even its root
	if err != nil {
		return nil, 0, err
	}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path != root && !wanted(d.Name()) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if d.IsDir() {
			return nil
		}
		info, err := os.Stat(path)
		if err != nil || !info.Mode().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(root, path)
		names = append(names, filepath.ToSlash(rel))
		size += info.Size()
		return err
	})
	return names, size, err
}

// editConfig writes another type of the weights into a config.json, and that the
// head is not the embedding where the file of the weights has one of its own:
// some tools go by config.json alone.
func editConfig(path, dtype string, untied bool) error {
	if dtype == "" && !untied {
		return nil
	}
	body, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if body, err = llm.RewriteConfig(body, dtype, untied); err != nil {
		return fmt.Errorf("config.json: %w", err)
	}
	return os.WriteFile(path, body, 0o644)
}

// nameBase writes the name of the base model into an adapter's configuration.
func nameBase(path, name, revision string) error {
	body, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var config map[string]json.RawMessage
	if err := json.Unmarshal(body, &config); err != nil {
		return fmt.Errorf("adapter_config.json: %w", err)
	}
	set := func(key string, value any) {
		raw, _ := json.Marshal(value) // of a text or nil: never fails
		config[key] = raw
	}
	set("base_model_name_or_path", name)
	set("revision", nil)
	if revision != "" {
		set("revision", revision)
	}
	if body, err = json.MarshalIndent(config, "", "  "); err != nil {
		return err
	}
	return os.WriteFile(path, append(body, '\n'), 0o644)
}
