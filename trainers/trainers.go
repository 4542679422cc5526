// Package trainers holds the trainers that tunebus brings along: a Python package that
// speaks the trainer protocol, and for each engine the list of the packages that it
// was tested with. The program carries them, so that "tunebus engine install" needs no
// checkout.
//
// The package imports nothing of tunebus. Its Python side is in python/: the package
// tunebus_trainer, its tests, and requirements-<engine>.in with what an engine asks for.
// "make lock" writes requirements-<engine>.txt from it: every package with its version
// and its digests, for Linux on x86-64 and arm64.
package trainers

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"regexp"
	"slices"
	"strings"
)

//go:embed python/tunebus_trainer/*.py python/pyproject.toml python/requirements-*.in python/requirements-*.txt
var files embed.FS

// Module is the name of the Python package.
const Module = "tunebus_trainer"

// The names of the engines.
const (
	TRL     = "trl"
	Unsloth = "unsloth"
)

// Engine is an engine whose environment can be made.
type Engine struct {
	Name string
	// Packages are the names of the packages that people know it by.
	Packages []string
	// Bytes is how much of the disk its environment takes, with what is downloaded
	// meanwhile.
	Bytes int64
	// Accelerator is set if it trains on an accelerator alone.
	Accelerator bool
}

// Engines are all of them.
func Engines() []Engine {
	return []Engine{
		{Name: TRL, Packages: []string{"torch", "transformers", "trl", "peft", "bitsandbytes"}, Bytes: 9e9},
		{Name: Unsloth, Packages: []string{"torch", "transformers", "trl", "peft", "unsloth"}, Bytes: 13e9, Accelerator: true},
	}
}

// Find returns the engine of a name.
func Find(name string) (Engine, bool) {
	all := Engines()
	i := slices.IndexFunc(all, func(e Engine) bool { return e.Name == name })
	if i < 0 {
		return Engine{}, false
	}
	return all[i], true
}

// Requirements is the list of an engine's packages for pip and uv. The locked one has
// the version and the digests of every package; the other one what is asked for, without
// versions.
func (e Engine) Requirements(locked bool) string {
	if locked {
		return read("requirements-" + e.Name + ".txt")
	}
	return unlocked(read("requirements-" + e.Name + ".in"))
}

// unlocked takes the versions out of a list.
func unlocked(list string) string {
	var out strings.Builder
	for line := range strings.Lines(list) {
		name, _, _ := strings.Cut(line, "==")
		out.WriteString(strings.TrimSpace(name) + "\n")
	}
	return out.String()
}

// Lock is the digest of an engine's locked list.
func (e Engine) Lock() string { return digest(e.Requirements(true)) }

// Version is the version of the Python package.
func Version() string {
	return regexp.MustCompile(`(?m)^version = "(.+)"$`).FindStringSubmatch(read("pyproject.toml"))[1]
}

// Sources are the files of the Python package by their names.
func Sources() map[string]string {
	out := map[string]string{}
	entries, err := fs.ReadDir(files, "python/"+Module)
	if err != nil {
		panic(err) // it is embedded
	}
	for _, entry := range entries {
		out[entry.Name()] = read(Module + "/" + entry.Name())
	}
	return out
}

// SourcesDigest is the digest of the files of the Python package.
func SourcesDigest() string {
	sources := Sources()
	names := make([]string, 0, len(sources))
	for name := range sources {
		names = append(names, name)
	}
	slices.Sort(names)
	var all strings.Builder
	for _, name := range names {
		all.WriteString(name + "\x00" + sources[name] + "\x00")
	}
	return digest(all.String())
}

func read(name string) string {
	body, err := files.ReadFile("python/" + name)
	if err != nil {
		panic(err) // it is embedded
	}
	return string(body)
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256:" + hex.EncodeToString(sum[:])
}
