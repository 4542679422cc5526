package mlflowsync

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/allowedpath"
	"github.com/tunebus/tunebus/pipeline/folderaddress"
	"github.com/tunebus/tunebus/pipeline/settings"
)

// addressPolicy decides to which tracking address a run is written. An address
// arrives in an event, so it is used only if the settings allow it.
type addressPolicy struct {
	home     string                  // for runs that name none
	homes    func(events.Run) string // instead of home, if set
	allowed  []string                // origins of servers
	fileRoot string                  // folder of file: addresses
	override string                  // for every run, if set
	// anyFolder allows every existing folder for marking deleted runs.
	anyFolder bool
}

// usualFolder is the address that specifications and settings have if nobody chose one.
const usualFolder = "file:./mlruns"

// addressOf is the address that the run is written to.
func (p addressPolicy) addressOf(run events.Run) (string, error) {
	if p.override != "" {
		return p.override, nil
	}
	return p.homeOf(run)
}

// homeOf is the address that the run belongs to.
func (p addressPolicy) homeOf(run events.Run) (string, error) {
	uri, home := run.Accepted.Specification.MLflow.TrackingURI, p.usualOf(run)
	if uri == "" || uri == home || uri == usualFolder { // which says no more than nothing
		return home, nil
	}
	u, err := url.Parse(uri)
	if err != nil {
		return "", errors.New("mlflow.tracking_uri is no address")
	}
	if u.Scheme == "file" {
		return p.folder(u)
	}
	sameOrigin := func(allowed string) bool { return settings.SameOrigin(allowed, uri) }
	if !sameOrigin(home) && !slices.ContainsFunc(p.allowed, sameOrigin) {
		return "", fmt.Errorf("mlflow.tracking_uri: %s://%s is not among the tracking servers "+
			"that the tracker's settings allow (services.tracker.allowed)", u.Scheme, u.Host)
	}
	return uri, nil
}

// usualOf is the address of a run that names none.
func (p addressPolicy) usualOf(run events.Run) string {
	if p.homes == nil {
		return p.home
	}
	return p.homes(run)
}

// folder resolves a file: address, which has to be below fileRoot.
func (p addressPolicy) folder(u *url.URL) (string, error) {
	dir := u.Path
	if u.Opaque != "" { // a relative one
		var err error
		if dir, err = url.PathUnescape(u.Opaque); err != nil {
			return "", fmt.Errorf("mlflow.tracking_uri: %w", err)
		}
	}
	dir, err := filepath.Abs(filepath.FromSlash(dir))
	if err != nil {
		return "", err
	}
	if p.fileRoot == "" {
		return "", errors.New("mlflow.tracking_uri: this tracker's settings allow no folders (services.tracker.file_root)")
	}
	if dir, err = allowedpath.FindNew([]string{p.fileRoot}, dir); err != nil {
		return "", fmt.Errorf("mlflow.tracking_uri: the tracker may not write to the folder that the run names; "+
			"it uses %s for folders", p.fileRoot)
	}
	return folderaddress.Of(dir), nil
}
