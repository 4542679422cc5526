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

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/localinput"
)

// NotEmptyError says that the folder to write to has files already.
type NotEmptyError struct{ Dir string }

func (e *NotEmptyError) Error() string {
	return fmt.Sprintf("folder %s is not empty; name a new one, or write over its files with --force", e.Dir)
}

// DataFolderError says that the folder to write to belongs to the runs of tunebus.
type DataFolderError struct{ Dir, Data string }

func (e *DataFolderError) Error() string {
	return fmt.Sprintf("folder %s: %s is a data folder of runs, and an export would write among their files; name another one", e.Dir, e.Data)
}

// checkData refuses a data folder of runs, and every folder in one.
func checkData(dir string) error {
	for at := dir; ; at = filepath.Dir(at) {
		if info, err := os.Stat(filepath.Join(at, "nats", "jetstream")); err == nil && info.IsDir() {
			return &DataFolderError{Dir: dir, Data: at}
		}
		if at == filepath.Dir(at) {
			return nil
		}
	}
}

// InputFolderError says that an export would change what the run was made from. Key is empty
// if other runs were made from it.
type InputFolderError struct{ Dir, Key, Input string }

func (e *InputFolderError) Error() string {
	if e.Key == "" {
		return fmt.Sprintf("folder %s: other runs of the data folder read %s there, and an export would change it; name another folder", e.Dir, e.Input)
	}
	return fmt.Sprintf("folder %s: the run reads %s there as %s, and an export would change it; name another folder", e.Dir, e.Input, e.Key)
}

// checkInputs refuses a folder that is, or is in, a model or data set that the run reads where it
// lies, whatever the ways to it. others are what other runs read likewise.
func checkInputs(dir string, run events.Run, others []string) error {
	if run.Accepted != nil {
		for key, ref := range run.Accepted.Inputs.References() {
			if localinput.Is(ref) && isIn(dir, ref.Key) {
				return &InputFolderError{Dir: dir, Key: strings.TrimPrefix(key, "inputs.files."), Input: ref.Key}
			}
		}
	}
	for _, input := range others {
		if isIn(dir, input) || isDataIn(input, dir) {
			return &InputFolderError{Dir: dir, Input: input}
		}
	}
	return nil
}

// isIn reports whether a folder is a model or data set, or is in one.
func isIn(dir, input string) bool {
	there, err := os.Stat(input)
	if err != nil {
		return false // it is gone
	}
	for at := dir; ; at = filepath.Dir(at) {
		if info, err := os.Stat(at); err == nil && os.SameFile(info, there) {
			return true
		}
		if at == filepath.Dir(at) {
			return false
		}
	}
}

// isDataIn reports whether an input is a file in the folder, of a name that an export writes.
func isDataIn(input, dir string) bool {
	info, err := os.Stat(input)
	if err != nil || !info.Mode().IsRegular() || !isExported(filepath.Base(input)) {
		return false
	}
	parent, err := os.Stat(filepath.Dir(input))
	if err != nil {
		return false
	}
	target, err := os.Stat(dir)
	return err == nil && os.SameFile(parent, target)
}

// ForeignError says that an export would replace files that no export wrote.
type ForeignError struct {
	Dir   string
	Names []string
}

func (e *ForeignError) Error() string {
	const most = 3
	names := strings.Join(e.Names[:min(most, len(e.Names))], ", ")
	if more := len(e.Names) - most; more > 0 {
		names += fmt.Sprintf(" and %d more", more)
	}
	return fmt.Sprintf("folder %s: no export wrote %s there, and an export would replace that; move it away, or name another folder", e.Dir, names)
}

// checkForeign refuses to replace files that no export wrote. One that an export wrote and a
// person changed may be replaced.
func checkForeign(dir string, names []string) error {
	earlier := readList(dir)
	var foreign []string
	for _, name := range names {
		_, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(name)))
		if err == nil && !slices.ContainsFunc(earlier, func(w written) bool { return w.Name == name }) {
			foreign = append(foreign, name)
		}
	}
	if len(foreign) == 0 {
		return nil
	}
	return &ForeignError{Dir: dir, Names: foreign}
}

// TargetError says that an export cannot be written where it should be.
type TargetError struct {
	Dir string
	Err error
}

func (e *TargetError) Error() string {
	return fmt.Sprintf("folder %s cannot be written: %v; name another one", e.Dir, e.Err)
}

// Unwrap returns the cause.
func (e *TargetError) Unwrap() error { return e.Err }

// targetError is an error of the place where an export is written, without the paths on the way.
func targetError(dir string, err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	}
	return &TargetError{dir, err}
}

// checkTarget refuses a folder in which there is something.
func checkTarget(dir string, force bool) error {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return targetError(dir, err)
	}
	if !info.IsDir() {
		return targetError(dir, errors.New("it is a file"))
	}
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 && !force {
		err = &NotEmptyError{Dir: dir}
	}
	return err
}

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
	root, err := filepath.EvalSymlinks(dir) // a walk does not follow a link, not even its root
	if err != nil {
		return nil, 0, err
	}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path != root && strings.HasPrefix(d.Name(), ".") {
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
	var config map[string]json.RawMessage
	if err := json.Unmarshal(body, &config); err != nil {
		return fmt.Errorf("config.json: %w", err)
	}
	if untied {
		config["tie_word_embeddings"] = json.RawMessage("false")
	}
	if dtype != "" {
		name := "torch_dtype" // transformers 5 reads both
		if _, ok := config["dtype"]; ok {
			name = "dtype"
			delete(config, "torch_dtype")
		}
		config[name] = json.RawMessage(`"` + dtype + `"`)
	}
	if body, err = json.MarshalIndent(config, "", "  "); err != nil {
		return err
	}
	return os.WriteFile(path, append(body, '\n'), 0o644)
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
