// Package inprocess starts every service of the pipeline in this process, as
// flags and settings say. "tunebus run" and "tunebus up" are built on it.
//
// [Start] checks the folders and addresses of the services before it starts
// any, because a fault should not show when a run has worked for hours.
package inprocess

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/layout"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/patience"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/places"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/storeopening"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/standalone"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/folderaddress"
	"github.com/tunebus/tunebus/pipeline/hostmetrics"
	"github.com/tunebus/tunebus/pipeline/service"
	"github.com/tunebus/tunebus/pipeline/settings"
	"github.com/tunebus/tunebus/services/tracker"
)

// Server holds the options of the embedded server.
type Server struct {
	// Listen is host:port for clients outside of the process; empty: none.
	Listen string
	// Token is what these clients have to present; empty: nothing.
	Token string
	// RelaxedSync makes the server fsync less often.
	RelaxedSync bool
	// WithoutWorkers starts no worker, so that no job is worked on.
	WithoutWorkers bool
	// Skip, if set, reports the runs on whose jobs no worker works. It may wait.
	Skip func(run string) bool
	// Hold, if set, reports the requests, by their sequences, that intake leaves to a later
	// process. It may wait, until ctx ends.
	Hold func(ctx context.Context, request uint64) bool
	// Tracker, if set, edits the tracker's configuration.
	Tracker func(*tracker.Config)
}

// patienceAtTheEnd is how long the built-in engine's last checkpoint may take to be
// stored, with what follows it, where a person waits for the end of the process.
const patienceAtTheEnd = 2 * time.Minute

// Stop stops what Start started, and says so where that takes long.
func Stop(console *view.Console, local *standalone.Local) error {
	slow := time.AfterFunc(2*time.Second, func() {
		console.Say("the services store what they did, such as the last checkpoint of a training; Ctrl-C once more does not wait for it")
	})
	defer slow.Stop()
	return local.Stop()
}

// Start starts the server and all services. Stop of what it returns has to be
// called in the end.
func Start(ctx context.Context, s *session.Session, cfg settings.Settings, server Server) (local *standalone.Local, err error) {
	log := s.Logger()
	err = check(cfg, log, !server.WithoutWorkers)
	if err == nil && !server.WithoutWorkers {
		err = programs(cfg)
	}
	if err != nil {
		return nil, exit.Input(err)
	}
	var engines map[events.Phase]engine.Engine // nil: the usual ones
	if server.WithoutWorkers {
		engines = map[events.Phase]engine.Engine{}
	}
	earlier, err := earlierPlaces(cfg, server.Tracker)
	if err != nil {
		return nil, exit.Input(err)
	}
	cfg.Finetune.Patience = patienceAtTheEnd
	start := standalone.Config{
		Engines:     engines,
		Trainers:    trainers(cfg),
		OpenStore:   storeopening.Open,
		Skip:        server.Skip,
		Hold:        server.Hold,
		Tracker:     earlier,
		Settings:    cfg,
		ObjectBytes: layout.ObjectBytes,
		Listen:      server.Listen,
		Token:       server.Token,
		RelaxedSync: server.RelaxedSync,
		Topology:    topology.Topology{Queues: layout.Queues(cfg)},
		Sample:      hostmetrics.New(ctx).Sample,
		Notify:      func(text string) { s.Console.Say("%s", text) },
		Logger:      log,
	}
	err = patience.Within(ctx, s.Console, 0, nil, func(ctx context.Context) error {
		return session.TakeFolder(ctx, s, cfg.Data.Folder, func() (err error) {
			local, err = standalone.Start(ctx, start)
			return err
		})
	})
	if err == nil && !server.WithoutWorkers { // the folder is this process's
		sayStoreMoved(s, cfg)
		if kept := places.Remember(cfg); kept != nil {
			s.Console.Say("the next command on the data folder %s will not know where its reports and its tracking go, and needs --reports and --tracking-uri: %v", cfg.Data.Folder, kept)
		}
	}
	return local, err
}

// sayStoreMoved says that artifacts lie in another store than before.
func sayStoreMoved(s *session.Session, cfg settings.Settings) {
	before, err := places.Read(cfg.Data.Folder)
	if err != nil { // which whoever writes the places says
		return
	}
	if moved, err := before.StoreMoved(cfg); err == nil && moved != "" {
		s.Console.Say("%s", moved)
	}
}

// earlierPlaces has the tracker leave runs of earlier processes in their places, and remove
// reports from all of them. edit, if set, edits its configuration, too.
func earlierPlaces(cfg settings.Settings, edit func(*tracker.Config)) (func(*tracker.Config), error) {
	before, err := places.Read(cfg.Data.Folder)
	if err != nil {
		return nil, err
	}
	homes, err := before.Homes(cfg, time.Now())
	if err != nil {
		return nil, err
	}
	var all []tracker.Home
	for _, h := range homes {
		home := tracker.Home{Until: h.Until}
		if home.Reports, err = filepath.Abs(h.Reports); err != nil {
			return nil, err
		}
		if home.TrackingURI, err = folderaddress.Absolute(h.TrackingURI); err != nil {
			return nil, err
		}
		all = append(all, home)
	}
	folders, err := before.ReportFolders()
	return func(c *tracker.Config) {
		c.Homes, c.EarlierReports = all, folders
		if edit != nil {
			edit(c)
		}
	}, err
}

// programs looks for the programs that train and that answer: a service without its own
// cannot start.
func programs(cfg settings.Settings) error {
	look := func(section, does string, command []string) error {
		if len(command) == 0 {
			return nil
		}
		if _, err := exec.LookPath(command[0]); err != nil {
			return fmt.Errorf("services.%s.command: %w; name the program that %s, or install it; without the key the built-in engine does it", section, err, does)
		}
		return nil
	}
	return errors.Join(look("finetune", "trains", cfg.Finetune.Command), look("inference", "answers", cfg.Inference.Command))
}

// checkStoreOwner refuses a store inside another data folder: runs of one id in both would have
// the same objects, and a deletion in one folder would remove those of the other.
func checkStoreOwner(cfg settings.Settings) error {
	if !folderaddress.Is(cfg.Artifacts.URL) {
		return nil
	}
	store, err := folderaddress.Folder(cfg.Artifacts.URL)
	if err == nil {
		store, err = filepath.Abs(store)
	}
	if err != nil {
		return fmt.Errorf("artifacts.url: %w", err)
	}
	own, _ := os.Stat(cfg.Data.Folder) // nil: there is none yet
	for dir := store; ; dir = filepath.Dir(dir) {
		if linked, err := filepath.EvalSymlinks(dir); err == nil {
			dir = linked
		}
		info, err := os.Stat(dir)
		if err == nil && own != nil && os.SameFile(info, own) {
			return nil
		}
		_, noServer := os.Stat(filepath.Join(dir, "nats", "jetstream"))
		_, noStore := os.Stat(filepath.Join(dir, "artifacts"))
		if noServer == nil && noStore == nil {
			return fmt.Errorf("artifacts.url: the store %s is inside the data folder %s, which is not that of this command, %s: the runs of both would share objects; "+
				"name a store of its own, or leave artifacts.url out", store, dir, cfg.Data.Folder)
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}

// check checks the addresses of the settings and makes the data folder. With reports it makes
// their folder, too.
func check(cfg settings.Settings, log *slog.Logger, reports bool) error {
	if _, err := service.Sources(cfg, log); err != nil {
		return err
	}
	if err := checkStoreOwner(cfg); err != nil {
		return err
	}
	track, err := tracker.ConfigFrom(cfg, os.Getenv)
	if err != nil {
		return err
	}
	if reports {
		if err := os.MkdirAll(track.Reports, 0o755); err != nil {
			return fmt.Errorf("folder of the reports: %w", err)
		}
	}
	if err := os.MkdirAll(cfg.Data.Folder, 0o750); err != nil {
		return fmt.Errorf("data folder %s: %w", cfg.Data.Folder, err)
	}
	return nil
}
