package opscmd

import (
	"context"
	"os"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/inprocess"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/places"
	"github.com/tunebus/tunebus/services/tracker"
)

// untrackFolder does on a data folder what the tracker of a server does.
func (d deletionCommand) untrackFolder(ctx context.Context, folder string, ids []string) error {
	cfg := d.server.Settings
	cfg.Data.Folder = folder
	over := inprocess.Flags{Reports: d.flags.reports, Tracking: d.flags.tracking}
	if err := over.Apply(&cfg); err != nil {
		return err
	}
	track, err := tracker.ConfigFrom(cfg, os.Getenv)
	if err != nil {
		return err
	}
	before, err := places.Read(folder)
	if err != nil {
		return exit.Input(err)
	}
	if track.EarlierReports, err = before.ReportFolders(); err != nil {
		return err
	}
	track.AnyFolder = true // a person removes what the runs of an own folder left
	track.Logger = d.session.Logger()
	return tracker.New(d.server.Bus, d.store, track).RemoveDeleted(ctx, ids)
}
