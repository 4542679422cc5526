package opscmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/preflight"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/queuecheck"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/storeopening"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/deadletter"
	"github.com/tunebus/tunebus/pipeline/bus/heldslot"
	"github.com/tunebus/tunebus/pipeline/bus/runlister"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/pipeline/huggingface/cachelist"
	"github.com/tunebus/tunebus/pipeline/settings"
	"github.com/tunebus/tunebus/pipeline/userfolder"
)

// Doctor is "tunebus doctor".
func Doctor(s *session.Session) *cobra.Command {
	var at session.Location
	c := &cobra.Command{
		Use: "doctor", Short: "Look whether server and machine have what the services need", Args: session.NoArgs,
		Long: `Looks at the server, its streams and queues, at the artifact store, and at this
machine. Of the data folder it says how much it holds, and what "tunebus gc" and
"tunebus delete" could remove. With --data, and where no server answers and none was
named, it looks at a data folder and at this machine alone.`,
		Example: "  tunebus doctor\n  tunebus doctor --server nats://nats.example:4222",
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := s.Settings()
			if err != nil {
				return err
			}
			found := append(check(c, s, at, cfg), checkMachine(c.Context(), cfg)...)
			if at.Data != "" {
				cfg.Data.Folder = at.Data
			}
			found = append(found, checkTrainer(c.Context(), cfg.Finetune)...)
			found = append(found, checkAnswers(c.Context(), cfg)...)
			found = append(found, checkEngines(cfg)...)
			if ctx := c.Context(); ctx.Err() != nil { // what failed then says nothing about the server
				return context.Cause(ctx)
			}
			if err := s.Console.Print(view.Findings(found)); err != nil {
				return err
			}
			if slices.ContainsFunc(found, func(f view.Finding) bool { return f.State == view.StateBroken }) {
				return exit.Silent(exit.CodeError)
			}
			return nil
		},
	}
	at.AddFlags(c)
	return c
}

// check checks the server and its data folder, or the data folder alone.
func check(c *cobra.Command, s *session.Session, at session.Location, cfg settings.Settings) (found []view.Finding) {
	if at.Data == "" && !session.FindsFolder(s, cfg) {
		b, err := s.Connect(c.Context())
		if several, ok := errors.AsType[*session.SeveralUpsError](err); ok {
			none := view.Finding{Name: "NATS", State: view.StateLook, Says: "no server answers at the usual address, and several ups run on this machine"}
			return append([]view.Finding{none}, upsElsewhere(several.Ups)...)
		}
		if err != nil {
			return []view.Finding{noServer(err)}
		}
		defer b.Close()
		if found = checkServer(c.Context(), s, b, cfg); len(found) <= serverAlone {
			return found
		}
	}
	looked := found != nil
	err := s.WithDeployment(&at, func(ctx context.Context, server *session.Deployment, _ []string) error {
		switch {
		case looked:
		case server.Folder() == "":
			found = checkServer(ctx, s, server.Bus, cfg)
		case at.Data == "":
			none := view.Finding{Name: "NATS", State: view.StateOK, Says: "no server answers at the usual address, and the data folder " + server.Folder() + " needs none"}
			found = append([]view.Finding{none}, upsElsewhere(session.OtherUps(server.Folder()))...)
		}
		found = append(found, checkFolder(ctx, server)...)
		return nil
	})(c, nil)
	if err != nil {
		found = append(found, view.Finding{Name: "data folder", State: view.StateBroken, Says: err.Error()})
	}
	return found
}

// noServer says that a server cannot be reached.
func noServer(err error) view.Finding {
	return view.Finding{Name: "NATS", State: view.StateBroken, Says: err.Error(), Do: "start it, or say where it is: --server, --context"}
}

// serverAlone is how much is found on a server without streams.
const serverAlone = 3

// checkServer checks what is on the server.
func checkServer(ctx context.Context, s *session.Session, b *conn.Conn, cfg settings.Settings) []view.Finding {
	found := []view.Finding{{Name: "NATS", State: view.StateOK, Says: b.Server()}, checkPayload(ctx, b)}
	if err := session.CheckSetUp(ctx, s, b); err != nil { // nothing of us is there
		return append(found, view.Finding{Name: "streams", State: view.StateBroken, Says: err.Error()})
	}
	for _, stream := range []string{events.StreamRequests, events.StreamFacts, events.StreamMetrics, events.StreamLogs, events.StreamDead} {
		found = append(found, checkStream(ctx, b, cfg, stream))
	}
	found = append(found, checkDeadLetters(ctx, b), checkBuckets(ctx, b))
	found = append(found, checkServices(ctx, b)...)
	queues, err := topology.NewInspector(b).Queues(ctx)
	if err != nil {
		return append(found, view.Finding{Name: "queues", State: view.StateBroken, Says: err.Error()})
	}
	working, err := runlister.New(b).Working(ctx)
	if err != nil {
		return append(found, view.Finding{Name: "queues", State: view.StateBroken, Says: err.Error()})
	}
	held, err := heldslot.List(ctx, b)
	if err != nil {
		found = append(found, view.Finding{Name: "held slots", State: view.StateLook, Says: err.Error()})
	}
	for _, q := range queues {
		found = append(found, checkQueue(q, working[runlister.JobQueue{Phase: q.Phase, Name: q.Name}], held))
	}
	for _, h := range held {
		found = append(found, checkHeld(h))
	}
	found = queuecheck.LookAtJobs(ctx, b, cfg, queues, held, found)
	return append(found, checkStore(ctx, b, cfg))
}

// checkPayload checks whether the server takes messages that are large enough.
func checkPayload(ctx context.Context, b *conn.Conn) view.Finding {
	limit, err := topology.CheckPayload(ctx, b)
	f := view.Finding{Name: "max_payload", State: view.StateOK, Says: fmt.Sprintf("%s bytes, %s are needed", events.Count(limit), events.Count(events.MinServerPayload))}
	if _, small := errors.AsType[*topology.PayloadError](err); small {
		f.State, f.Do = view.StateBroken, `write "max_payload: 1MB" into the configuration of nats-server and reload it, on every server of a cluster`
	} else if err != nil {
		f.State, f.Says = view.StateBroken, err.Error()
	}
	return f
}

func checkStream(ctx context.Context, b *conn.Conn, cfg settings.Settings, stream string) view.Finding {
	f := view.Finding{Name: "stream " + stream, State: view.StateOK}
	state, err := topology.NewInspector(b).Stream(ctx, stream)
	switch {
	case err != nil:
		f.State, f.Says, f.Do = view.StateBroken, err.Error(), doSetup
		return f
	case stream == events.StreamFacts && state.Usage >= cfg.Intake.FullAt:
		f.State, f.Do = view.StateLook, "no new runs are admitted; raise its limit"
	}
	f.Says = fmt.Sprintf("%.1f %% full", 100*state.Usage)
	if state.Clustered || state.Copies > 1 { // one server has one copy
		f.Says += ", " + copies(state.Copies)
	}
	return f
}

func checkDeadLetters(ctx context.Context, b *conn.Conn) view.Finding {
	f := view.Finding{Name: "dead letters", State: view.StateOK, Says: "none"}
	n, err := deadletter.New(b).Count(ctx)
	switch {
	case err != nil:
		f.State, f.Says = view.StateBroken, err.Error()
	case n > 0:
		f.State, f.Says, f.Do = view.StateLook, fmt.Sprint(n), `"tunebus dlq list" says why`
	}
	return f
}

// doSetup is what to do about something that is missing on the server.
const doSetup = `"tunebus setup" creates what is missing`

// checkBuckets checks the buckets of checkpoints and leases.
func checkBuckets(ctx context.Context, b *conn.Conn) view.Finding {
	f := view.Finding{Name: "buckets", State: view.StateOK, Says: "all are there"}
	missing, err := topology.NewInspector(b).MissingBuckets(ctx)
	switch {
	case err != nil:
		f.State, f.Says = view.StateBroken, err.Error()
	case len(missing) > 0:
		f.State, f.Says, f.Do = view.StateBroken, "missing: "+strings.Join(missing, ", "), doSetup
	default:
		return copiesOfBuckets(ctx, b, f)
	}
	return f
}

// checkServices checks the consumers of intake and the tracker. Without those of
// intake no request is accepted, and no run cancelled.
func checkServices(ctx context.Context, b *conn.Conn) []view.Finding {
	services, err := topology.NewInspector(b).Services(ctx)
	if err != nil {
		return []view.Finding{{Name: "consumers", State: view.StateBroken, Says: err.Error(), Do: doSetup}}
	}
	var found []view.Finding
	for _, s := range services {
		f := view.Finding{Name: "service " + s.Name, State: view.StateOK, Says: "messages waiting " + events.Count(s.Waiting)}
		switch {
		case len(s.Missing) > 0:
			f.State, f.Says, f.Do = view.StateBroken, "consumers are missing: "+strings.Join(s.Missing, ", "), doSetup
		case s.Unattended:
			f.State, f.Do = view.StateLook, "nobody takes them; start tunebus-"+s.Name
		}
		found = append(found, f)
	}
	return found
}

// checkQueue checks a queue, some of whose workers may be held. Attempts work on as many of
// its jobs as working says.
func checkQueue(q topology.Queue, working int, held []heldslot.Record) view.Finding {
	working = min(working, q.Held) // the job of an attempt may be settled meanwhile
	f := view.Finding{
		Name:  fmt.Sprintf("queue %s/%s", q.Phase, q.Name),
		State: view.StateOK,
		Says:  fmt.Sprintf("jobs waiting %d, worked on %d, free slots %d", q.Waiting, working, q.Idle),
	}
	if later := q.Held - working; later > 0 {
		f.Says += fmt.Sprintf(", given back or to be tried again %d", later)
		f.Do = `"tunebus show RUN" says what a queued run waits for`
	}
	stuck := 0
	for _, h := range held {
		if h.Phase == q.Phase && h.Queue == q.Name {
			stuck++
		}
	}
	if stuck > 0 {
		f.Says += ", held slots " + events.Count(stuck)
		f.State = view.StateLook
	}
	if q.Idle == 0 && working == 0 && q.Waiting+q.Held > 0 || stuck > 0 && q.Idle == 0 {
		f.State, f.Do = view.StateLook, "start a worker that takes jobs from it"
	}
	return f
}

// checkHeld says which job holds a slot of a worker.
func checkHeld(h heldslot.Record) view.Finding {
	attempt := ""
	if h.Attempt > 0 {
		attempt = fmt.Sprintf(", attempt %d", h.Attempt)
	}
	return view.Finding{
		Name:  "worker " + view.Printable(h.Worker),
		State: view.StateLook,
		Says: fmt.Sprintf("a slot has been held since %s by run %s, %s%s: %s", h.Since.Local().Format(time.DateTime),
			view.Printable(h.RunID), h.Phase, attempt, view.Printable(h.Why)),
		Do: "it takes jobs again when the work returns; remove the cause, or restart the worker",
	}
}

// checkStore checks the store that the settings name. If they name none, run
// and up have their artifacts in the data folder.
func checkStore(ctx context.Context, b *conn.Conn, cfg settings.Settings) view.Finding {
	f := view.Finding{Name: "artifacts", State: view.StateOK, Says: "in the data folder of run and up; the settings name no other store"}
	if cfg.Artifacts.URL == "" {
		return f
	}
	store, err := storeopening.OpenExisting(ctx, b, cfg.Artifacts.URL)
	if errors.Is(err, artifact.ErrNoStore) && hasNoRun(ctx, b) {
		f.Says = settings.Redacted(cfg.Artifacts.URL) + " holds no artifact store yet; the first service or submit makes it"
		return f
	}
	if err != nil {
		f.State, f.Says, f.Do = view.StateBroken, err.Error(), "look at artifacts.url of the settings"
		return f
	}
	f.Says = fmt.Sprintf("%s is store %s", settings.Redacted(cfg.Artifacts.URL), store.ID())
	if err := store.Close(); err != nil {
		f.State, f.Says = view.StateLook, err.Error()
	}
	return f
}

// hasNoRun reports whether the server is known to have no run yet, whose artifacts would lie
// somewhere.
func hasNoRun(ctx context.Context, b *conn.Conn) bool {
	runs, err := runlister.New(b).InStream(ctx)
	return err == nil && len(runs) == 0
}

// checkMachine checks this machine, and MLflow as it is reached from here.
func checkMachine(ctx context.Context, cfg settings.Settings) []view.Finding {
	mlflow := view.Finding{Name: "MLflow", State: view.StateOK, Says: cfg.Tracker.TrackingURI}
	if missing := preflight.TrackingServer(ctx, cfg); missing != nil {
		mlflow.State, mlflow.Says, mlflow.Do = view.StateLook, missing.Why, missing.Do
	}
	engine := view.Finding{Name: "built-in engine", State: view.StateOK}
	if err := llm.UseKernels(cfg.Services.Kernels); err != nil {
		engine.State, engine.Says, engine.Do = view.StateBroken, err.Error(), "name another one by services.kernels of the settings, or none"
	} else if engine.Says = "uses the instructions of " + llm.Kernels(); llm.SlowKernels() {
		engine.State, engine.Says = view.StateLook, "uses no vector instructions, and takes many times as long"
		engine.Do = "use a processor with AVX2 or AVX-512"
	}
	return []view.Finding{mlflow, engine, checkHubCache(ctx, cfg), checkPublishing(cfg)}
}

// checkPublishing says whether the tracker could push to the Hub with these settings. It
// asks nobody.
func checkPublishing(cfg settings.Settings) view.Finding {
	f := view.Finding{Name: "pushing to the Hub", State: view.StateOK, Says: "a token for " + cfg.Data.HubEndpoint + " is set"}
	switch {
	case cfg.Data.HubOffline:
		f.Says = "nothing is pushed: HF_HUB_OFFLINE or data.hub_offline is set"
	case cfg.Credentials.HuggingFaceToken == "":
		f.Says = "no token is set (HF_TOKEN); runs with fine_tuner.push_to_hub are not pushed by a tracker with these settings"
	}
	return f
}

// checkHubCache says how much of the disk the cache of the Hub takes.
func checkHubCache(ctx context.Context, cfg settings.Settings) view.Finding {
	f := view.Finding{Name: "cache of the Hub", State: view.StateOK}
	folder, err := cachelist.Folder(cfg.Data.HubCache)
	var all []cachelist.Cached
	if err == nil {
		all, err = cachelist.List(ctx, folder)
	}
	if errors.Is(err, userfolder.ErrNone) {
		err = userfolder.ErrNone
	}
	if err != nil {
		f.State, f.Says, f.Do = view.StateLook, err.Error(), "name a folder by data.hub_cache of the settings"
		return f
	}
	var bytes int64
	for _, one := range all {
		bytes += one.Bytes
	}
	f.Says = fmt.Sprintf("%s holds %s bytes of %s models and data sets", folder, events.Count(bytes), events.Count(len(all)))
	if len(all) > 0 {
		f.Says += `; "tunebus gc --hub-cache" removes those that nobody used of late`
	}
	return f
}
