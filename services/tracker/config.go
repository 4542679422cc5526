package tracker

import (
	"context"
	"log/slog"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/services/tracker/mlflow"
	"github.com/tunebus/tunebus/services/tracker/mlflow/restapi"
	"github.com/tunebus/tunebus/services/tracker/mlflowsync"
	"github.com/tunebus/tunebus/services/tracker/publishing"
	"github.com/tunebus/tunebus/services/tracker/report"
)

// Config says where runs are tracked, and how often.
type Config struct {
	// TrackingURI is the address for runs whose specification names none.
	// Default "file:./mlruns".
	TrackingURI string
	// Allowed are the origins, scheme://host:port, of servers that a
	// specification may name. TrackingURI's own is always allowed, and so are
	// folders below FileRoot.
	Allowed []string
	// Credentials returns the options for an address. Default: none.
	Credentials func(uri string) restapi.Options
	// To, if set, is the address for every run, whatever its specification
	// names. A run that is copied to another address than its own does not
	// become tracked by that.
	To string
	// Open opens a target. Default [mlflowsync.Open].
	Open func(uri string, opt restapi.Options) (mlflow.Target, error)
	// Write writes the reports of a run. Default [report.Write].
	Write func(ctx context.Context, dir string, r report.Report) ([]report.File, error)
	// FileRoot is the folder that contains the file: addresses that a
	// specification may name. Default: it may name none.
	FileRoot string
	// AnyFolder has the reports of deleted runs removed, and their MLflow runs marked,
	// in whatever folders of this machine their facts name. It is for a person who
	// deletes runs of an own data folder, and not for requests of others.
	AnyFolder bool
	// DataRoots are the folders below which the services find the relative paths of
	// requests. Default: none.
	DataRoots []string
	// DataFolder is the data folder that holds the runs; empty: a server does. The
	// commands that reports name are for it.
	DataFolder string
	// Reports is the folder of the reports, with one folder for each run.
	// Default: no reports.
	Reports string
	// Homes are the places of runs that were asked for earlier, the earliest first.
	// Default: every run has those above.
	Homes []Home
	// EarlierReports are folders into which earlier trackers of the same runs wrote
	// reports. Those of deleted runs are removed there, too.
	EarlierReports []string
	// QuietPeriod is the delay between a fact and the writing of a run that goes
	// on, so that facts in quick succession are written once. Default 1 s.
	QuietPeriod time.Duration
	// Retry is the delay before a run is written again after MLflow could not
	// be reached. Default 30 s.
	Retry time.Duration
	// UnknownFor is how long a run with a fact of an unknown version waits for
	// a newer tracker, before it becomes tracked without that fact. Default 7
	// days.
	UnknownFor time.Duration
	// Slots is how many runs are written at the same time. Default 2.
	Slots int
	// Publish, if set, edits how runs are published to the Hub.
	Publish func(*publishing.Config)
	// Version is the version of this program.
	Version string
	// Logger is the logger. Default: discard.
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.TrackingURI == "" {
		c.TrackingURI = "file:./mlruns"
	}
	if c.Retry == 0 {
		c.Retry = 30 * time.Second
	}
	if c.UnknownFor == 0 {
		c.UnknownFor = 7 * 24 * time.Hour
	}
	if c.QuietPeriod == 0 {
		c.QuietPeriod = time.Second
	}
	if c.Slots == 0 {
		c.Slots = 2
	}
	if c.Write == nil {
		c.Write = report.Write
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// on are the flags of commands on the runs that say where they are found, from whatever
// working folder.
func (c Config) on() []string {
	if c.DataFolder == "" {
		return nil
	}
	return []string{"--data", c.DataFolder}
}

func (c Config) forSync() mlflowsync.Config {
	return mlflowsync.Config{
		TrackingURI: c.TrackingURI,
		Home:        func(run events.Run) string { return c.homeOf(run).TrackingURI },
		Allowed:     c.Allowed,
		FileRoot:    c.FileRoot,
		AnyFolder:   c.AnyFolder,
		To:          c.To,
		Credentials: c.Credentials,
		Open:        c.Open,
		Version:     c.Version,
	}
}
