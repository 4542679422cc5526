package places

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tunebus/tunebus/pipeline/folderaddress"
	"github.com/tunebus/tunebus/pipeline/settings"
)

// maxEarlier is how many earlier places are remembered.
const maxEarlier = 100

// history is what to remember of earlier places once those of next count.
func (p Places) history(next Places, now time.Time) []Earlier {
	all := slices.Clone(p.Earlier)
	if p.Reports+p.TrackingURI != "" && (p.Reports != next.Reports || p.TrackingURI != next.TrackingURI) {
		all = append(all, Earlier{Until: now.UTC(), Reports: p.Reports, TrackingURI: p.TrackingURI})
	}
	return all[max(0, len(all)-maxEarlier):]
}

// Home is where runs are reported and tracked that were asked for before a time.
type Home struct {
	Until time.Time
	// Reports and TrackingURI are relative to the working folder where it holds them.
	Reports, TrackingURI string
	// Moved says for people what cannot stay where it was, and goes where the settings say;
	// empty: all of it stays.
	Moved string
	// LeftReports and LeftTracking are the places where that was, or else those above.
	LeftReports, LeftTracking string
}

// Homes are the places of the runs that were asked for before now, the earliest first. Places of
// this machine that can be written stay those of their runs; others are replaced by those of the
// settings. None: the settings have the only places that there ever were.
func (p Places) Homes(cfg settings.Settings, now time.Time) ([]Home, error) {
	all := p.Earlier
	if p.Reports+p.TrackingURI != "" {
		all = append(slices.Clone(all), Earlier{Until: now, Reports: p.Reports, TrackingURI: p.TrackingURI})
	}
	var homes []Home
	other := false
	for _, e := range all {
		h, err := p.home(e, cfg)
		if err != nil {
			return nil, err
		}
		homes = append(homes, h)
		other = other || h.Moved != "" || h.Reports != cfg.Tracker.Reports || h.TrackingURI != cfg.Tracker.TrackingURI
	}
	if !other {
		return nil, nil
	}
	return homes, nil
}

func (p Places) home(e Earlier, cfg settings.Settings) (Home, error) {
	h := Home{Until: e.Until, Reports: cfg.Tracker.Reports, TrackingURI: cfg.Tracker.TrackingURI}
	h.LeftReports, h.LeftTracking = h.Reports, h.TrackingURI
	var moved []string
	if e.Reports != "" {
		if there := shown(p.data, e.Reports); !samePath(there, h.Reports) {
			h.LeftReports = there
			if err := writable(there); err != nil {
				moved = append(moved, fmt.Sprintf("reports go to %s from now on, and no more to %s (%v)", h.Reports, there, err))
			} else {
				h.Reports = there
			}
		}
	}
	if e.TrackingURI != "" {
		there, err := shownAddress(p.data, e.TrackingURI)
		if err == nil {
			err = settings.TrackingAddress(there)
		}
		if err != nil {
			return h, fmt.Errorf("%s: tracking_uri: %w; remove the file", filepath.Join(p.data, fileName), err)
		}
		if !sameAddress(there, h.TrackingURI) {
			h.LeftTracking = there
			if why := unusable(there, h.TrackingURI); why != nil {
				moved = append(moved, fmt.Sprintf("tracking goes to %s from now on, and no more to %s (%v)", settings.Redacted(h.TrackingURI), settings.Redacted(there), why))
			} else {
				h.TrackingURI = there
			}
		}
	}
	h.Moved = strings.Join(moved, "; ")
	return h, nil
}

// unusable says why runs cannot be tracked at an address any more, beside that of the settings;
// nil if they can. The credentials of this process are for its own server.
func unusable(address, current string) error {
	if !folderaddress.Is(address) {
		if settings.SameOrigin(address, current) {
			return nil
		}
		return errors.New("it is not on this machine")
	}
	folder, err := folderaddress.Folder(address)
	if err != nil {
		return err
	}
	if _, err := os.Stat(folder); err != nil { // the first run makes it
		folder = filepath.Dir(folder)
	}
	return writable(folder)
}

// writable says why no file can be made in a folder; nil if one can.
func writable(folder string) error {
	f, err := os.CreateTemp(folder, ".tunebus-*")
	if err != nil {
		if _, gone := os.Stat(folder); gone != nil {
			return errors.New("it is not there any more")
		}
		return errors.New("it cannot be written")
	}
	_ = f.Close()
	return os.Remove(f.Name())
}

// ReportFolders are all folders, absolute, into which runs of the data folder wrote reports.
func (p Places) ReportFolders() ([]string, error) {
	var all []string
	add := func(path string) error {
		if path == "" {
			return nil
		}
		folder, err := filepath.Abs(shown(p.data, path))
		if err == nil && !slices.Contains(all, folder) {
			all = append(all, folder)
		}
		return err
	}
	for _, e := range p.Earlier {
		if err := add(e.Reports); err != nil {
			return nil, err
		}
	}
	err := add(p.Reports)
	return all, err
}
