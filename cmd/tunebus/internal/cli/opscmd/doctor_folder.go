package opscmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/localup"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/waiting"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/runlister"
	"github.com/tunebus/tunebus/pipeline/deletion"
	"github.com/tunebus/tunebus/pipeline/gc"
	"github.com/tunebus/tunebus/pipeline/shellquote"
)

// checkFolder says how much a data folder holds, and what could go: the folder that the
// command works on, or that of the process on this machine that it asks. It finds nothing
// where there is none.
func checkFolder(ctx context.Context, server *session.Deployment) []view.Finding {
	folder := server.Folder()
	alone := folder != ""
	if up, ok := localup.Find(server.Bus.Server()); ok && !alone {
		folder = up.Data
	}
	if folder == "" {
		return nil
	}
	found := []view.Finding{sizeOf(folder)}
	if alone { // else the server was looked at
		found = append(found, unfinishedRuns(ctx, server, folder))
		found = append(found, waitingRequests(ctx, server, folder)...)
		found = append(found, checkDeadLetters(ctx, server.Bus))
	}
	store, err := server.Store(ctx)
	if err != nil {
		return append(found, view.Finding{Name: "artifacts", State: view.StateBroken, Says: err.Error()})
	}
	return append(found, collectable(ctx, server, store, alone), deletable(ctx, server, store))
}

// upsElsewhere says which ups work on other data folders of this machine.
func upsElsewhere(ups []localup.Up) (found []view.Finding) {
	for _, up := range ups {
		found = append(found, view.Finding{
			Name: "up", State: view.StateOK, Says: fmt.Sprintf("one at %s works on the data folder %s", up.URL, up.Data),
			Do: fmt.Sprintf("\"tunebus doctor --data %s\" looks at it", shellquote.Word(up.Data)),
		})
	}
	return found
}

// unfinishedRuns says how many runs of a folder have not ended.
func unfinishedRuns(ctx context.Context, server *session.Deployment, folder string) view.Finding {
	f := view.Finding{Name: "runs", State: view.StateOK, Says: "all have ended"}
	open, err := runlister.New(server.Bus).Open(ctx)
	switch {
	case err != nil:
		f.State, f.Says = view.StateLook, err.Error()
	case len(open) > 0:
		f.State, f.Says = view.StateLook, fmt.Sprintf("%s %s not ended, and nobody works on the folder", view.Count(len(open), "run"), view.Have(len(open)))
		f.Do = fmt.Sprintf(`"tunebus up --data %s" goes on`, shellquote.Word(folder))
	}
	return f
}

// waitingRequests says how many requests wait on a folder on which nobody works, and since
// when. It finds nothing where there are none.
func waitingRequests(ctx context.Context, server *session.Deployment, folder string) []view.Finding {
	f := view.Finding{Name: "requests", State: view.StateLook}
	n, since := 0, time.Time{}
	err := waiting.Each(ctx, server.Bus, func(w waiting.Request) error {
		if n++; n == 1 {
			since = w.At
		}
		return nil
	})
	switch {
	case err != nil:
		f.Says = err.Error()
	case n == 0:
		return nil
	default:
		what := "1 request waits for intake"
		if n > 1 {
			what = fmt.Sprintf("%s wait for intake, the first", view.Count(n, "request"))
		}
		f.Says = fmt.Sprintf("%s since %s, and nobody works on the folder", what, since.Local().Format(time.DateTime))
		f.Do = fmt.Sprintf(`"tunebus up --data %s" works on what waits`, shellquote.Word(folder))
	}
	return []view.Finding{f}
}

// sizeOf says how much a data folder holds, by its parts. A file
// with several names counts once.
func sizeOf(folder string) view.Finding {
	f := view.Finding{Name: "data folder", State: view.StateOK}
	entries, err := os.ReadDir(folder)
	if err != nil {
		f.State, f.Says = view.StateLook, err.Error()
		return f
	}
	seen := map[inode]bool{}
	total := int64(0)
	var parts []string
	for _, entry := range entries {
		n := bytesBelow(filepath.Join(folder, entry.Name()), seen)
		total += n
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%s %s", entry.Name(), events.Count(n)))
		}
	}
	f.Says = fmt.Sprintf("%s holds %s: %s", folder, view.Count(total, "byte"), strings.Join(parts, ", "))
	return f
}

// bytesBelow is the size of the files below a path. What cannot be read is left out.
func bytesBelow(path string, seen map[inode]bool) (n int64) {
	_ = filepath.WalkDir(path, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return nil
		}
		if id, ok := inodeOf(info); ok {
			if seen[id] {
				return nil
			}
			seen[id] = true
		}
		n += info.Size()
		return nil
	})
	return n
}

// collectable says what garbage collection could remove. On a folder that nobody works on it
// says as well what it could remove later: nothing there waits for a run to refer to it.
func collectable(ctx context.Context, server *session.Deployment, store *artifact.Store, alone bool) view.Finding {
	f := view.Finding{Name: "gc", State: view.StateOK}
	sum, err := gc.New(server.Bus, store, gc.Options{Grace: 24 * time.Hour, DryRun: true}).Run(ctx)
	switch {
	case errors.Is(err, gc.ErrNoReference):
		f.State, f.Says = view.StateLook, "no run refers to the artifact store"
		f.Do = fmt.Sprintf(`"tunebus gc --store %s" removes all of it`, store.ID())
	case err != nil:
		f.State, f.Says = view.StateLook, err.Error()
	default:
		n := sum.Removed.Bytes + sum.Leftovers.Bytes
		f.Says = fmt.Sprintf("%s that no run refers to", view.Count(n, "byte"))
		if n > 0 {
			f.Do = `"tunebus gc" removes them`
		}
		if !alone {
			return f
		}
		all, err := gc.New(server.Bus, store, gc.Options{ContentGrace: time.Nanosecond, DryRun: true}).Run(ctx)
		if young := all.Removed.Bytes + all.Leftovers.Bytes - n; err == nil && young > 0 {
			f.Says += fmt.Sprintf(", and %s that gc removes when a day has passed", view.Count(young, "byte"))
		}
	}
	return f
}

// deletable says how much the runs that have ended have made, and the archived ones, and what
// is left of deletions that were cut short.
func deletable(ctx context.Context, server *session.Deployment, store *artifact.Store) view.Finding {
	f := view.Finding{Name: "delete", State: view.StateOK}
	ended, archived, err := bytesOfRuns(ctx, server.Bus, store)
	if err != nil {
		f.State, f.Says = view.StateLook, err.Error()
		return f
	}
	total, largest := sumUp(ended)
	f.Says = fmt.Sprintf("%s of %s that %s ended", view.Count(total, "byte"), view.Count(len(ended), "run"), view.Have(len(ended)))
	if total > 0 {
		f.Says += fmt.Sprintf(", the most %s with %s", largest, view.Count(ended[largest], "byte"))
		f.Do = fmt.Sprintf(`"tunebus delete %s --dry-run" says what would go`, largest)
	}
	if len(archived) > 0 {
		total, largest := sumUp(archived)
		f.Says += fmt.Sprintf("; %s of %s, the most %s with %s", view.Count(total, "byte"), view.Count(len(archived), "archived run"), largest, view.Count(archived[largest], "byte"))
		if f.Do == "" {
			f.Do = fmt.Sprintf(`"tunebus delete %s --archived --dry-run" says what would go`, largest)
		}
	}
	if unfinished, err := deletion.New(server.Bus, store).Unfinished(ctx); err == nil && len(unfinished) > 0 {
		f.State = view.StateLook
		f.Says += fmt.Sprintf("; the deletion of %s was cut short", view.Count(len(unfinished), "run"))
		f.Do = fmt.Sprintf(`"tunebus delete %s" goes on with it`, unfinished[0].RunID)
	}
	return f
}

// bytesOfRuns says how much each run in the stream that has ended has in the store, and each
// that has left the stream for the archive, with its archive.
func bytesOfRuns(ctx context.Context, b *conn.Conn, store *artifact.Store) (ended, archived map[string]int64, err error) {
	index := runlister.New(b)
	accepted, err := index.Accepted(ctx)
	if err != nil {
		return nil, nil, err
	}
	open, err := index.Open(ctx)
	if err != nil {
		return nil, nil, err
	}
	deleted, err := index.Deleted(ctx)
	if err != nil {
		return nil, nil, err
	}
	made, err := bytesByRun(ctx, store, "runs/")
	if err != nil {
		return nil, nil, err
	}
	archives, err := bytesByRun(ctx, store, "archive/")
	if err != nil {
		return nil, nil, err
	}
	ended, archived = map[string]int64{}, map[string]int64{}
	for _, id := range accepted {
		ended[id] = made[id]
		delete(archives, id) // archiving it was cut short
	}
	for _, id := range open {
		delete(ended, id)
	}
	for id, n := range archives {
		if _, gone := slices.BinarySearch(deleted, id); !gone {
			archived[id] = n + made[id]
		}
	}
	return ended, archived, nil
}

// bytesByRun sums up the objects of each run below a prefix.
func bytesByRun(ctx context.Context, store *artifact.Store, prefix string) (map[string]int64, error) {
	out := map[string]int64{}
	for o, err := range store.List(ctx, prefix) {
		if err != nil {
			return nil, err
		}
		if run, _, ok := strings.Cut(strings.TrimPrefix(o.Key, prefix), "/"); ok {
			out[run] += o.Size
		}
	}
	return out, nil
}

// sumUp is the sum of all runs, and the one with the most bytes, the first by name of several.
func sumUp(bytes map[string]int64) (total int64, largest string) {
	for _, run := range slices.Sorted(maps.Keys(bytes)) {
		total += bytes[run]
		if largest == "" || bytes[run] > bytes[largest] {
			largest = run
		}
	}
	return total, largest
}
