// Package places remembers with a data folder where its runs are reported and tracked, and
// in which store their artifacts lie. A later command on the folder that is told nothing
// else uses the same places: a run that one process began is reported and tracked where
// that process would have done it.
//
//	kept, err := places.Read(data)
//	kept.Use(&cfg)
//	…
//	err = places.Remember(cfg)
//
// A run that an earlier process began in other places stays in them, see [Places.Homes].
//
// The file is places.json in the data folder. A place that was named relative to the working
// folder stands in it relative to the data folder, so that both can be moved together.
package places

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"time"

	"github.com/tunebus/tunebus/pipeline/atomicfile"
	"github.com/tunebus/tunebus/pipeline/folderaddress"
	"github.com/tunebus/tunebus/pipeline/settings"
)

// fileName is the name of the file in the data folder, and maxBytes how long it may be.
const (
	fileName = "places.json"
	maxBytes = 64 << 10
)

// Places are where the runs of a data folder leave what is not in the folder. A place that
// is empty is not known.
type Places struct {
	// Reports is the folder of the reports; relative: to the data folder.
	Reports string `json:"reports,omitempty"`
	// TrackingURI is the address of MLflow. The folder of a file: address may be
	// relative to the data folder.
	TrackingURI string `json:"tracking_uri,omitempty"`
	// Artifacts is the address of the artifact store; empty: a folder of the data
	// folder.
	Artifacts string `json:"artifacts,omitempty"`
	// EarlierArtifacts are the artifact stores that runs and ups had before, the earliest
	// first, as Artifacts has them.
	EarlierArtifacts []string `json:"earlier_artifacts,omitempty"`
	// Earlier are the places that runs and ups had before, the earliest first.
	Earlier []Earlier `json:"earlier,omitempty"`

	data string
}

// Earlier are places that the runs had which were asked for before a time.
type Earlier struct {
	Until       time.Time `json:"until"`
	Reports     string    `json:"reports,omitempty"`
	TrackingURI string    `json:"tracking_uri,omitempty"`
}

// Read reads the places of a data folder. A folder that has none has the zero value.
func Read(data string) (Places, error) {
	none := Places{data: data}
	if data == "" {
		return none, nil
	}
	path := filepath.Join(data, fileName)
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) { // whoever makes the folder says what is wrong
		return none, nil
	}
	if err != nil {
		return none, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	switch {
	case err != nil:
		return none, fmt.Errorf("%s: %w", path, err)
	case len(text) > maxBytes:
		return none, fmt.Errorf("%s: longer than %d bytes; tunebus did not write it, so remove it", path, maxBytes)
	}
	places := none
	if err := json.Unmarshal(text, &places); err != nil {
		return none, fmt.Errorf("%s: %w; remove it, and name the places with --reports and --tracking-uri", path, err)
	}
	return places, nil
}

// Use puts the places into settings that name no other. It returns those that the settings
// got by it. Paths are relative to the working folder where it holds them.
func (p Places) Use(cfg *settings.Settings) (used Places, err error) {
	usual, err := settings.Load(nil, nil)
	if err != nil {
		return used, err
	}
	if p.Reports != "" && cfg.Tracker.Reports == usual.Tracker.Reports {
		if there := shown(p.data, p.Reports); !samePath(there, cfg.Tracker.Reports) {
			cfg.Tracker.Reports, used.Reports = there, there
		}
	}
	if p.TrackingURI != "" && cfg.Tracker.TrackingURI == usual.Tracker.TrackingURI {
		there, err := shownAddress(p.data, p.TrackingURI)
		if err == nil {
			err = settings.TrackingAddress(there)
		}
		if err != nil {
			return used, fmt.Errorf("%s: tracking_uri: %w; remove the file, and name the places with --reports and --tracking-uri", filepath.Join(p.data, fileName), err)
		}
		if !sameAddress(there, cfg.Tracker.TrackingURI) {
			cfg.Tracker.TrackingURI, used.TrackingURI = there, there
		}
	}
	if p.Artifacts != "" && cfg.Artifacts.URL == "" {
		there, err := folderaddress.Absolute(p.Artifacts)
		if err != nil {
			return used, fmt.Errorf("%s: artifacts: %w; remove the file", filepath.Join(p.data, fileName), err)
		}
		cfg.Artifacts.URL, used.Artifacts = there, there
	}
	return used, nil
}

// Known reports whether it is known where the runs of a data folder are reported and tracked:
// from an earlier command on it, or from the settings.
func Known(cfg settings.Settings) (bool, error) {
	before, err := Read(cfg.Data.Folder)
	if err != nil {
		return false, err
	}
	usual, err := settings.Load(nil, nil)
	if err != nil {
		return false, err
	}
	return before.Reports != "" || cfg.Tracker.Reports != usual.Tracker.Reports || cfg.Tracker.TrackingURI != usual.Tracker.TrackingURI, nil
}

// Text says for people which places were used, and how to name others; empty if there
// are none.
func (p Places) Text(data string) string {
	var places, others []string
	if p.Reports != "" {
		places, others = append(places, "reports go to "+p.Reports), append(others, "--reports")
	}
	if p.TrackingURI != "" {
		places, others = append(places, "tracking goes to "+settings.Redacted(p.TrackingURI)), append(others, "--tracking-uri")
	}
	if p.Artifacts != "" {
		places, others = append(places, "artifacts lie in "+settings.Redacted(p.Artifacts)), append(others, "artifacts.url of the settings")
	}
	if len(places) == 0 {
		return ""
	}
	return fmt.Sprintf("as before on the data folder %s, %s; to change that, give %s", data, strings.Join(places, ", and "), strings.Join(others, " or "))
}

// Remember writes the places of settings into their data folder, which this process has
// for itself.
func Remember(cfg settings.Settings) error {
	data := cfg.Data.Folder
	p := Places{data: data}
	var err error
	if p.Reports, err = stored(data, cfg.Tracker.Reports); err != nil {
		return err
	}
	if p.TrackingURI, err = storedAddress(data, cfg.Tracker.TrackingURI); err != nil {
		return err
	}
	if p.Artifacts, err = folderaddress.Absolute(cfg.Artifacts.URL); err != nil {
		return err
	}
	if before, err := Read(data); err == nil {
		p.Earlier, p.EarlierArtifacts = before.history(p, time.Now()), before.stores(p)
		if reflect.DeepEqual(before, p) {
			return nil
		}
	}
	err = atomicfile.Write(filepath.Join(data, fileName), atomicfile.JSON(p), atomicfile.Options{Perm: 0o600, Sync: true})
	if err != nil {
		return fmt.Errorf("the places of the data folder: %w", err)
	}
	return nil
}
