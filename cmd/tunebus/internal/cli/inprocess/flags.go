package inprocess

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/places"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/runrequest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/folderaddress"
	"github.com/tunebus/tunebus/pipeline/redaction"
	"github.com/tunebus/tunebus/pipeline/settings"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// Flags are what flags say about the services of this process, over the
// settings.
type Flags struct {
	// Tracking is the address of MLflow, and Reports the folder of the reports.
	Tracking, Reports string
	// RelaxedSync makes the server fsync less often.
	RelaxedSync bool

	data        string
	credentials runrequest.CredentialFlags
	// kept says which places are those of an earlier command on the data folder.
	kept string
}

// AddFlags adds the flags to a command.
func (f *Flags) AddFlags(c *cobra.Command) {
	flags := c.Flags()
	flags.StringVar(&f.data, "data", "", "folder of the embedded server and the artifacts; default: the settings' data.folder, tunebus-data")
	flags.StringVar(&f.Reports, "reports", "", "folder of the reports; default: the settings' services.tracker.reports, then that of the last run or up on the data folder, reports")
	flags.StringVar(&f.Tracking, "tracking-uri", "", "MLflow: http(s):// server or file: folder; default: the specification's, then the settings', then that of the last run or up on the data folder, file:./mlruns")
	f.credentials.AddFlags(c)
	flags.BoolVar(&f.RelaxedSync, "relaxed-sync", false, "fsync every two minutes instead of every write")
}

// Unused names the credentials that are given and that a run does not need. judged says whether a
// judge scores it.
func (f *Flags) Unused(s events.Specification, judged bool) structconf.Faults {
	return f.credentials.Unused(s, judged)
}

// Apply puts the flags over the settings, and below the settings the defaults
// of services that a person runs in one process: the working folder is the only
// place that data is read from and that runs are tracked below.
func (f *Flags) Apply(s *settings.Settings) error {
	wd, err := os.Getwd()
	if err != nil {
		return fmt.Errorf("working folder: %w", err)
	}
	set := func(key *string, value string) {
		if value != "" {
			*key = value
		}
	}
	if f.Tracking != "" {
		if err := settings.TrackingAddress(f.Tracking); err != nil {
			if !folderaddress.Is(f.Tracking) {
				err = fmt.Errorf("%w, or file: and a folder", err)
			}
			return exit.Input(fmt.Errorf("--tracking-uri: %w", err))
		}
	}
	f.credentials.Apply(&s.Credentials)
	set(&s.Data.Folder, f.data)
	if err := f.applyPlaces(s); err != nil {
		return err
	}
	if err := checkFolders(*s); err != nil {
		return exit.Input(err)
	}
	if len(s.Data.Roots) == 0 {
		s.Data.Roots = []string{wd}
	}
	if s.Tracker.FileRoot == "" {
		s.Tracker.FileRoot = wd
	}
	if s.Data.Scratch == "" {
		s.Data.Scratch = filepath.Join(s.Data.Folder, "scratch")
	}
	return nil
}

// checkFolders refuses an address where a folder of this machine is wanted: a folder of that name
// would be made, and the user and the password of the address be printed and stored.
func checkFolders(s settings.Settings) error {
	for _, f := range []struct{ what, path string }{
		{"--data, or data.folder of the settings", s.Data.Folder},
		{"--reports, or services.tracker.reports of the settings", s.Tracker.Reports},
	} {
		if strings.Contains(f.path, "://") {
			return fmt.Errorf("%s: %s is an address; name a folder of this machine", f.what, redaction.Addresses(settings.Redacted(f.path)))
		}
	}
	return nil
}

// Kept says which places the settings have from an earlier command on the data folder, after
// [Flags.Apply]; empty if they have none.
func (f *Flags) Kept() string { return f.kept }

// applyPlaces puts the places of the flags over the settings. Those of an earlier command on
// the data folder come in where neither flags nor settings name any.
func (f *Flags) applyPlaces(s *settings.Settings) error {
	before, err := places.Read(s.Data.Folder)
	if err != nil {
		return exit.Input(err)
	}
	if f.Reports != "" {
		s.Tracker.Reports, before.Reports = f.Reports, ""
	}
	if f.Tracking != "" {
		s.Tracker.TrackingURI, before.TrackingURI = f.Tracking, ""
	}
	used, err := before.Use(s)
	if err != nil {
		return exit.Input(err)
	}
	f.kept = used.Text(s.Data.Folder)
	return nil
}
