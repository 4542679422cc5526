package trainerinstall

import (
	"errors"
	"io/fs"
	"os"

	"github.com/tunebus/tunebus/pipeline/trainerenv"
	"github.com/tunebus/tunebus/trainers"
)

// Condition is what is there of an environment.
type Condition string

// The conditions.
const (
	Missing  Condition = "missing"
	Current  Condition = "ok"
	Newest   Condition = "unlocked" // with the newest versions of its day
	Stale    Condition = "stale"    // it was made from another lock, or holds another trainer
	Broken   Condition = "broken"
	HalfMade Condition = "half made" // a process works on it, or was killed
)

// State is what is there of the environment of an engine in a folder.
type State struct {
	Condition Condition
	// Environment is set unless it is missing, broken or half made.
	Environment trainerenv.Environment
	// Why says what is wrong; empty if nothing is.
	Why string
}

// IsCurrent reports whether nothing is to do.
func (s State) IsCurrent() bool { return s.Condition == Current }

// IsUsable reports whether its trainer trains.
func (s State) IsUsable() bool {
	return s.Condition == Current || s.Condition == Newest || s.Condition == Stale
}

// Look says what is there.
func Look(folder string, engine trainers.Engine) State {
	env, err := trainerenv.Open(folder, engine.Name)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(folder + ".partial"); err == nil {
			return State{Condition: HalfMade, Why: "it is being made, or a process that made it was killed"}
		}
		return State{Condition: Missing}
	}
	if broken, ok := errors.AsType[*trainerenv.BrokenError](err); ok {
		return State{Condition: Broken, Why: broken.Why}
	}
	if err != nil {
		return State{Condition: Broken, Why: err.Error()}
	}
	switch {
	case env.Sources != trainers.SourcesDigest():
		return State{Condition: Stale, Environment: env, Why: "it holds the trainer of another version of tunebus"}
	case env.Lock == "":
		return State{Condition: Newest, Environment: env}
	case env.Lock != engine.Lock():
		return State{Condition: Stale, Environment: env, Why: "this version of tunebus was tested with other versions of its packages"}
	}
	return State{Condition: Current, Environment: env}
}

// Find says what is there of an engine for a data folder, and where: the first
// environment that can be used, or else the first place that has something of it.
func Find(data string, engine trainers.Engine) (folder string, found State, err error) {
	folders, err := trainerenv.Folders(data, engine.Name)
	if err != nil {
		return "", State{}, err
	}
	folder, found = folders[0], State{Condition: Missing}
	for _, f := range folders {
		switch s := Look(f, engine); {
		case s.IsUsable():
			return f, s, nil
		case s.Condition != Missing && found.Condition == Missing:
			folder, found = f, s
		}
	}
	return folder, found, nil
}
