package inprocess

import (
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/settings"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/pipeline/trainerenv"
	"github.com/tunebus/tunebus/services/finetune"
)

// trainers are the commands of the engines that have an environment for the data folder, by
// their names, but for the engine whose jobs the worker of the settings takes.
func trainers(cfg settings.Settings) map[string][]string {
	found := map[string][]string{}
	for _, name := range spec.Engines(events.Finetune) {
		if !finetune.HasEnvironment(name) || name == cfg.Finetune.Queue {
			continue
		}
		if env, err := trainerenv.Find(cfg.Data.Folder, name); err == nil {
			found[name] = env.Command()
		}
	}
	return found
}

// Takes reports whether the services of this process take the jobs of a phase out of a
// queue.
func Takes(cfg settings.Settings, p events.Phase, queue string) bool {
	if cfg.Worker(p).Queue == queue {
		return true
	}
	_, further := trainers(cfg)[queue]
	return p == events.Finetune && further
}

// NoEnvironment is why this process cannot work on the jobs of a queue of fine-tuning: its
// engine has no environment, or one that cannot be used. It is nil for every other queue.
func NoEnvironment(cfg settings.Settings, queue string) error {
	if !finetune.HasEnvironment(queue) || queue == cfg.Finetune.Queue && len(cfg.Finetune.Command) > 0 {
		return nil
	}
	_, err := trainerenv.Find(cfg.Data.Folder, queue)
	return err
}
