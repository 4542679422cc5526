package trainer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/tunebus/tunebus/pipeline/checkpointing"
	"github.com/tunebus/tunebus/pipeline/child"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/metrics"
)

// markerFile says in a checkpoint who wrote it.
const markerFile = "tunebus-trainer.json"

// marker is its content.
type marker struct {
	Engine  string `json:"engine"`
	Trainer string `json:"trainer"`
}

// checkMarker returns why a job cannot go on from its checkpoint.
func checkMarker(job *engine.Job, name string) error {
	if job.Resume.Step == 0 {
		return nil
	}
	var m marker
	body, err := os.ReadFile(filepath.Join(job.Resume.Dir, markerFile))
	if err == nil {
		err = json.Unmarshal(body, &m)
	}
	switch {
	case err != nil:
		return errors.New("the checkpoint is of an engine that is no trainer")
	case m.Engine != name:
		return fmt.Errorf("the checkpoint is of the engine %q", m.Engine)
	}
	return nil
}

// trainerOf is the name of the trainer that wrote a checkpoint.
func trainerOf(dir string) string {
	var m marker
	if body, err := os.ReadFile(filepath.Join(dir, markerFile)); err == nil {
		_ = json.Unmarshal(body, &m) // checkMarker has read it
	}
	return m.Trainer
}

// keeper stores checkpoints of a trainer, one at a time, while the trainer goes on.
type keeper struct {
	job    *engine.Job
	inside string // the folder that checkpoints lie in
	marker marker
	send   func(child.Order)
	warn   func(text string)

	mu      sync.Mutex
	refused int   // checkpoints; mu guards it
	first   error // why the first one of them was refused; mu guards it

	waiting chan child.Checkpoint // at most one
	done    chan struct{}
	// kept is the newest step that is kept, and lost why the job is not ours any more.
	// They are read when done is closed.
	kept int64
	lost error
}

func newKeeper(job *engine.Job, inside string, m marker, send func(child.Order), warn func(string)) *keeper {
	return &keeper{job: job, inside: inside, marker: m, send: send, warn: warn, waiting: make(chan child.Checkpoint, 1), done: make(chan struct{})}
}

// offer has a checkpoint stored. The one that waits for that is not kept.
func (k *keeper) offer(c child.Checkpoint) {
	if err := k.check(c); err != nil {
		k.refuse(c, err)
		return
	}
	for {
		select {
		case k.waiting <- c:
			return
		default:
		}
		select {
		case old := <-k.waiting:
			if old.Step != c.Step { // else the trainer repeated it
				k.send(child.CheckpointNotKept{Step: old.Step, Text: "a newer checkpoint came before this one could be stored"})
			}
		default: // it is being stored now
		}
	}
}

// run stores what is offered until close is called. onLost is called at once if the
// job is lost.
func (k *keeper) run(ctx context.Context, onLost func()) {
	defer close(k.done)
	for c := range k.waiting {
		if k.lost != nil {
			continue
		}
		if c.Step > k.kept {
			if err := k.store(ctx, c); err != nil {
				if checkpointing.IsSuperseded(err) {
					k.lost = err
					onLost()
					continue
				}
				k.refuse(c, err)
				continue
			}
			k.kept = c.Step
		}
		k.send(child.CheckpointKept{Step: c.Step})
	}
}

// close waits until all checkpoints are stored.
func (k *keeper) close() {
	close(k.waiting)
	<-k.done
}

// refuse says why a checkpoint is not kept.
func (k *keeper) refuse(c child.Checkpoint, why error) {
	k.mu.Lock()
	if k.refused++; k.first == nil {
		k.first = fmt.Errorf("that of step %d: %w", c.Step, why)
	}
	k.mu.Unlock()
	k.warn(fmt.Sprintf("the checkpoint of step %d is not kept: %v", c.Step, why))
	k.send(child.CheckpointNotKept{Step: c.Step, Text: why.Error()})
}

// notes say how many checkpoints were not kept, and why.
func (k *keeper) notes() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.refused == 0 {
		return nil
	}
	count := "1 checkpoint of the trainer was"
	if k.refused > 1 {
		count = fmt.Sprintf("%d checkpoints of the trainer were", k.refused)
	}
	return []string{fmt.Sprintf("%s not kept, so that another attempt would not go on from there; %v", count, k.first)}
}

// check returns what is wrong with the folder of a checkpoint.
func (k *keeper) check(c child.Checkpoint) error {
	if inside, err := filepath.Rel(k.inside, c.Folder); err != nil || !filepath.IsLocal(inside) || inside == "." {
		return errors.New("its folder is not in output.checkpoints")
	}
	if _, err := os.Lstat(filepath.Join(c.Folder, metrics.FileName)); err == nil {
		return fmt.Errorf("it has a file %s, which is the name of one of tunebus", metrics.FileName)
	}
	return nil
}

// store stores a checkpoint. It is kept if the error is nil.
func (k *keeper) store(ctx context.Context, c child.Checkpoint) error {
	keep := k.job.Request.Specification.FineTuner.SaveTotalLimit
	if _, err := os.Lstat(c.Folder); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("its folder %s is gone: the trainer removed it before checkpoint_kept said that it is stored", filepath.Base(c.Folder))
	}
	err := k.job.WriteCheckpoint(ctx, c.Step, keep, func(dir string) error {
		if err := linkTree(c.Folder, dir); err != nil {
			return err
		}
		body, err := json.Marshal(k.marker)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, markerFile), body, 0o600)
	})
	if err == nil && !engine.IsKept(k.job, c.Step) {
		err = errors.New("it could not be stored or registered now; the log of the worker has the reason")
	}
	return err
}

// linkTree links the files of a folder into another one, which is there. What a link
// cannot be made of is copied.
func linkTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil || name == "." || name == markerFile {
			return err
		}
		target := filepath.Join(to, name)
		switch {
		case d.IsDir():
			return os.Mkdir(target, 0o750)
		case !d.Type().IsRegular():
			return fmt.Errorf("%s is neither a file nor a folder", filepath.ToSlash(name))
		}
		if os.Link(path, target) == nil {
			return nil
		}
		return engine.CopyFile(target, path)
	})
}
