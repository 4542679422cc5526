// Package version is the version of tunebus that a program was built from.
//
// The Makefile takes it from git, and it and deploy/Containerfile hand it to
// the linker:
//
//	go build -ldflags "-X github.com/tunebus/tunebus/pipeline/version.linked=$(make -s version)"
//
// A program that is built without that flag falls back to the information
// that the Go tool records: the version of the module (go install), else the
// commit (go build in a checkout). A program that has neither is "devel".
package version

import (
	"runtime/debug"
	"strings"
)

// linked is set by the linker.
var linked string

// Current returns the version of the running program, without a leading v.
func Current() string {
	info, _ := debug.ReadBuildInfo()
	return of(linked, info)
}

// of chooses the version; info may be nil.
func of(linked string, info *debug.BuildInfo) string {
	if linked != "" {
		return bare(linked)
	}
	if info == nil {
		return "devel"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return bare(v)
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	commit := settings["vcs.revision"]
	if commit == "" {
		return "devel"
	}
	if settings["vcs.modified"] == "true" {
		commit += "-dirty"
	}
	return commit
}

// bare removes the v of a tag such as v0.1.0. A commit never starts with v.
func bare(version string) string { return strings.TrimPrefix(version, "v") }
