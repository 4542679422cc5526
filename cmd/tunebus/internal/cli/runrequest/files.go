package runrequest

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/localinput"
	"github.com/tunebus/tunebus/pipeline/redaction"
	"github.com/tunebus/tunebus/pipeline/runconfig"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// localFiles finds the local files that keys name, and those of answers, by their
// names. A value that is neither a file nor a Hub id is a fault.
func localFiles(answers answerFiles, paths []spec.Path, folders map[string]string) (map[string]string, structconf.Faults) {
	out := map[string]string{}
	var faults structconf.Faults
	for name, a := range answers {
		if info, err := os.Stat(a.path); err != nil || !info.Mode().IsRegular() {
			faults = append(faults, structconf.Fault{Key: a.key, Value: a.said, Message: "no such file"})
			continue
		}
		out[name] = a.path
	}
	for _, p := range paths {
		path, info := localPath(p, folders[p.Key])
		if info != nil {
			if !info.IsDir() && !info.Mode().IsRegular() { // a pipe may never be written, and /dev/zero never ends
				faults = append(faults, structconf.Fault{
					Key: p.Key, Value: p.Value, Message: "is a pipe, a socket or a device; write its content to a file",
				})
				continue
			}
			out[p.Key] = path
			faults = append(faults, adapterBase(out, p, path)...)
		} else if !spec.IsHubID(p.Place()) {
			faults = append(faults, structconf.Fault{
				Key:     p.Key,
				Value:   withoutUser(p.Value),
				Message: "no such file or folder" + elsewhere(path, p.Value) + ", and no id of the Hugging Face Hub",
			})
		}
	}
	return out, faults
}

// hubNotes name the ids of the Hub that may be misspelt paths: the folder of the owner's
// name is there, and what the id names is not in it.
func (s source) hubNotes(paths []spec.Path, files map[string]string) (notes structconf.Faults) {
	for _, p := range paths {
		if _, here := files[p.Key]; here || !spec.IsHubID(p.Place()) {
			continue
		}
		owner, name, _ := strings.Cut(p.Place(), "/")
		entries, err := os.ReadDir(filepath.Join(s.folders[p.Key], owner))
		if err != nil {
			continue // no such folder: nothing speaks for a path
		}
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		path, _ := localPath(p, s.folders[p.Key])
		message := "no such file or folder" + elsewhere(path, p.Value) + ", so that it is taken as an id of the Hugging Face Hub"
		if nearest := structconf.Nearest(name, names); nearest != "" {
			message += "; did you mean " + owner + "/" + nearest + "?"
		}
		notes = append(notes, structconf.Fault{Key: p.Key, Value: p.Value, Message: message})
	}
	return s.tree.Locate(nil, notes)
}

// elsewhere says where a path was looked for, if that is not what a person wrote.
func elsewhere(path, written string) string {
	if strings.Contains(written, "://") || withoutUser(written) != written { // an address is no path, and may have a password
		return ""
	}
	if path == written || path == "./"+written {
		return ""
	}
	return " (" + path + ")"
}

// userAtHost is a user with a password before a host, without a scheme.
var userAtHost = regexp.MustCompile(`^[^\s/@:]*:[^\s@]+@`)

// withoutUser is what a person gave as a path, with "xxxxx" for what may be a user and a password.
func withoutUser(written string) string {
	if strings.Contains(written, "://") {
		return redaction.Addresses(written)
	}
	return userAtHost.ReplaceAllString(written, "xxxxx@")
}

// localPath returns the path that a key names, without the configuration and the
// split behind it, and what is there, or nil. A path that has a colon itself goes
// first.
func localPath(p spec.Path, folder string) (path string, info os.FileInfo) {
	for _, path = range []string{p.Value, p.Place()} {
		if !filepath.IsAbs(path) {
			path = filepath.Join(folder, path)
		}
		if info, err := os.Stat(path); err == nil {
			return path, info
		}
	}
	return path, nil
}

// neededPaths are the keys that name files, of the phases that need them.
func neededPaths(s events.Specification) []spec.Path {
	return slices.DeleteFunc(spec.Paths(s), func(p spec.Path) bool { return !Needs(s, p.Phase) })
}

// Needs reports whether a run of the specification reads the files of a phase.
func Needs(s events.Specification, p events.Phase) bool {
	for _, step := range spec.Plan(s) {
		if step.Phase == p || p == events.Finetune && step.Phase == events.Inference {
			return true
		}
	}
	return false
}

// inputs are what a request says about the files that it needs.
func inputs(refs map[string]events.Reference, files map[string]string) events.Inputs {
	in := events.Inputs{Files: map[string]events.Reference{}, Paths: map[string]string{}}
	for name, ref := range refs {
		switch name {
		case runconfig.Predictions:
			in.Predictions = &ref
		case runconfig.Baseline:
			in.BaselinePredictions = &ref
		default:
			in.Files[name] = ref
		}
		if path, err := filepath.Abs(files[name]); err == nil && !localinput.Is(ref) && utf8.ValidString(path) {
			in.Paths[name] = path
		}
	}
	if !in.Fit() { // the paths are for convenience, and no reason to refuse a run
		in.Paths = nil
	}
	return in
}
