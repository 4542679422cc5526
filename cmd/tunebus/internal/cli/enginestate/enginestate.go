// Package enginestate says of each engine that a specification may name what is there of it
// on this machine, what is missing, and the command that gets it.
package enginestate

import (
	"fmt"
	"os/exec"
	"slices"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/trainerinstall"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/settings"
	"github.com/tunebus/tunebus/pipeline/shellquote"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/trainers"
)

// The states beside the conditions of an environment.
const (
	BuiltIn  = "built in"
	Settings = "settings" // the settings name its command
	Server   = "server"   // it works elsewhere
)

// Makes begins the command that makes an environment.
const Makes = "tunebus engine install "

// Engine is what is there of an engine. Its JSON is part of the program's interface.
type Engine struct {
	Name   string         `json:"name"`
	Phases []events.Phase `json:"phases"`
	State  string         `json:"state"`
	// Folder is where its environment is, or would be.
	Folder string `json:"folder,omitempty"`
	// Command is what trains.
	Command  []string          `json:"command,omitempty"`
	Python   string            `json:"python,omitempty"`
	Versions map[string]string `json:"versions,omitempty"`
	// Says is a sentence about the state, and Do what to do; empty: nothing.
	Says string `json:"says,omitempty"`
	Do   string `json:"do,omitempty"`
	// Usable is set if a process with these settings can work with it.
	Usable bool `json:"usable"`
}

// All says it of all engines, in the order in which specifications name them.
func All(cfg settings.Settings) ([]Engine, error) {
	var all []Engine
	for _, p := range events.Phases() {
		for _, name := range spec.Engines(p) {
			if i := slices.IndexFunc(all, func(e Engine) bool { return e.Name == name }); i >= 0 {
				all[i].Phases = append(all[i].Phases, p)
				continue
			}
			e, err := look(cfg, name)
			if err != nil {
				return nil, err
			}
			e.Name, e.Phases = name, []events.Phase{p}
			all = append(all, e)
		}
	}
	return all, nil
}

// look says what is there of an engine.
func look(cfg settings.Settings, name string) (Engine, error) {
	f := cfg.Finetune
	brought, environment := trainers.Find(name)
	switch {
	case name == engine.Builtin:
		return Engine{State: BuiltIn, Usable: true}, nil
	case len(f.Command) > 0 && (name == f.Queue || name == spec.Command && !slices.Contains(spec.Engines(events.Finetune), f.Queue)):
		return ofSettings("services.finetune.command", f.Command), nil
	case name == spec.Transformers && len(cfg.Inference.Command) > 0:
		return ofSettings("services.inference.command", cfg.Inference.Command), nil
	case name == spec.Transformers:
		return Engine{
			State: string(trainerinstall.Missing), Says: "it answers in the environment of trl; the settings name no program",
			Do: `write command = ["PATH/bin/python", "-m", "tunebus_trainer.generate"] and queue = "transformers" into the section services.inference of the settings`,
		}, nil
	case environment:
		return inEnvironment(cfg, brought)
	case name == spec.Command:
		return Engine{
			State: string(trainerinstall.Missing), Says: "a program of yours that trains; the settings name none",
			Do: `write command = ["python3", "trainer.py"] and queue = "command" into the section services.finetune of the settings`,
		}, nil
	}
	return Engine{State: Server, Usable: true, Says: "it needs nothing on this machine"}, nil
}

// ofSettings is an engine whose command the settings name.
func ofSettings(key string, command []string) Engine {
	e := Engine{State: Settings, Command: command, Usable: true}
	if _, err := exec.LookPath(command[0]); err != nil {
		e.State, e.Usable = string(trainerinstall.Broken), false
		e.Says, e.Do = fmt.Sprintf("%s: %v", key, err), "name the program that is meant, or install it"
	}
	return e
}

// inEnvironment is an engine that works in an environment.
func inEnvironment(cfg settings.Settings, brought trainers.Engine) (Engine, error) {
	folder, state, err := trainerinstall.Find(cfg.Data.Folder, brought)
	if err != nil {
		return Engine{}, err
	}
	e := Engine{
		State: string(state.Condition), Folder: folder, Python: state.Environment.Python, Versions: state.Environment.Versions,
		Says: state.Why, Usable: state.IsUsable(),
	}
	if e.Usable {
		e.Command = state.Environment.Command()
	}
	if state.Condition == trainerinstall.Missing {
		e.Says = "it has no environment here"
	}
	if !state.IsCurrent() && state.Condition != trainerinstall.Newest {
		e.Do = Makes + shellquote.Word(brought.Name)
	}
	return e, nil
}

// Packages are the versions that people know an engine by, such as "torch 2.15.0".
func (e Engine) Packages() (out []string) {
	brought, _ := trainers.Find(e.Name)
	for _, name := range brought.Packages {
		if v, ok := e.Versions[name]; ok {
			out = append(out, name+" "+v)
		}
	}
	return out
}
