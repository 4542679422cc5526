package localrun

import (
	"context"
	"strings"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/places"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/settings"
)

// sayHomes says where the reports and the tracking of the runs go that this process goes on with,
// if that is not where those of its own run go.
func (u unfinished) sayHomes(ctx context.Context, runs []string) error {
	at := map[int][]string{} // the runs of each home
	for _, id := range runs {
		run, err := history.New(u.bus).Run(ctx, id)
		if err != nil {
			return err
		}
		if i, ok := homeOf(u.homes, run); ok {
			at[i] = append(at[i], id)
		}
	}
	for i, home := range u.homes {
		of := "of " + strings.Join(at[i], ", ")
		if len(at[i]) == 0 {
			continue
		}
		if text := stays(u.cfg, home); text != "" {
			u.session.Console.Say("%s: %s, where they began", of, text)
		}
		if home.Moved == "" {
			continue
		}
		words := []string{"replay", "tracking"}
		for _, id := range at[i] {
			words = append(words, "--run", id)
		}
		words = append(words, "--data", u.cfg.Data.Folder, "--reports", home.LeftReports, "--tracking-uri", home.LeftTracking)
		u.session.Console.Say("%s: %s; when the old place can be written again, this writes them there:\n  %s",
			of, home.Moved, u.session.CommandLine(words...))
	}
	return nil
}

// stays says which of the places are not those of the settings.
func stays(cfg settings.Settings, home places.Home) string {
	var parts []string
	if home.Reports != cfg.Tracker.Reports {
		parts = append(parts, "reports go to "+home.Reports)
	}
	if home.TrackingURI != cfg.Tracker.TrackingURI {
		parts = append(parts, "tracking goes to "+settings.Redacted(home.TrackingURI))
	}
	return strings.Join(parts, ", and ")
}

// homeOf is which of the homes is that of a run; ok is false for a run that was asked for since.
func homeOf(homes []places.Home, run events.Run) (i int, ok bool) {
	for i, h := range homes {
		if run.Accepted != nil && run.Accepted.RequestedAt.Before(h.Until) {
			return i, true
		}
	}
	return 0, false
}
