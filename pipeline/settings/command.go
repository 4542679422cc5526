package settings

import (
	"fmt"
	"strings"

	"github.com/tunebus/tunebus/pipeline/structconf"
)

// builtinQueue is the queue of the jobs for the built-in engine.
const builtinQueue = "builtin"

// checkCommand returns the faults of a command that trains.
func checkCommand(f Finetune) (faults structconf.Faults) {
	fault := func(key, value, message string) {
		faults = append(faults, structconf.Fault{Key: "services.finetune." + key, Value: value, Message: message})
	}
	switch {
	case len(f.Command) == 0 && f.Queue == "command":
		fault("command", "", `is missing; the jobs of the queue "command" need the command that trains`)
	case len(f.Command) > 0 && f.Queue == builtinQueue:
		fault("queue", f.Queue, `the command does not train jobs of the built-in engine; give it a queue of its own, such as "command"`)
	}
	return append(faults, program{"services.finetune.", len(f.Command) > 0 || f.Queue != builtinQueue, "services.finetune.command, or the queue of an engine such as trl", f.Environment, f.Devices, f.Slots}.check()...)
}

// The queues of the engines of inference that need settings.
const (
	openaiQueue       = "openai"
	transformersQueue = "transformers"
)

// checkAnswers returns the faults of a server, and of a command, that answers.
func checkAnswers(i Inference) (faults structconf.Faults) {
	fault := func(key, value, message string) {
		faults = append(faults, structconf.Fault{Key: "services.inference." + key, Value: value, Message: message})
	}
	switch {
	case i.Endpoint != "" && len(i.Command) > 0:
		fault("command", strings.Join(i.Command, " "), "services.inference.endpoint is set too; a worker has one of them")
	case i.Endpoint != "" && (i.Queue == builtinQueue || i.Queue == transformersQueue):
		fault("queue", i.Queue, `the server answers no jobs of another engine; give it a queue of its own, such as "openai"`)
	case len(i.Command) > 0 && (i.Queue == builtinQueue || i.Queue == openaiQueue):
		fault("queue", i.Queue, `the command answers no jobs of another engine; give it a queue of its own, such as "transformers"`)
	case i.Endpoint == "" && i.Queue == openaiQueue:
		fault("endpoint", "", `is missing; the jobs of the queue "openai" need the server that answers, such as "http://vllm:8000/v1"`)
	case len(i.Command) == 0 && i.Queue == transformersQueue:
		fault("command", "", `is missing; the jobs of the queue "transformers" need the command that answers`)
	}
	if _, err := Origin(i.Endpoint); i.Endpoint != "" && err != nil {
		faults = append(faults, structconf.Fault{Key: "services.inference.endpoint", Message: err.Error(), Allowed: "http://… or https://…"})
	}
	if strings.ContainsAny(i.Endpoint, "?#") {
		fault("endpoint", "", "has a query or a fragment; want the address alone, such as \"http://vllm:8000/v1\"")
	}
	if i.Parallel < 1 || i.Parallel > maxParallel {
		fault("parallel", fmt.Sprint(i.Parallel), fmt.Sprintf("out of range, want 1 to %d", maxParallel))
	}
	if i.CallTimeout < minStall {
		fault("call_timeout", i.CallTimeout.String(), "too small, want "+minStall.String()+" or more")
	}
	if i.LoRAFolder == "" && (i.LoRAPath != "" || i.LoRAResolver) {
		fault("lora_folder", "", "is missing; services.inference.lora_path and lora_resolver are about it")
	}
	return append(faults, program{"services.inference.", len(i.Command) > 0, "services.inference.command", i.Environment, i.Devices, i.Slots}.check()...)
}

// maxParallel bounds the calls to a server: each has a connection, and its answer in memory.
const maxParallel = 1024

// program is a program that the settings start. section begins its keys, and without
// is what it is started by.
type program struct {
	section              string
	starts               bool
	without              string
	environment, devices []string
	slots                int
}

// check returns the faults of the keys beside the command.
func (p program) check() (faults structconf.Faults) {
	fault := func(key, value, message string) {
		faults = append(faults, structconf.Fault{Key: p.section + key, Value: value, Message: message})
	}
	if !p.starts && len(p.devices) > 0 {
		fault("devices", strings.Join(p.devices, " "), "has no effect without "+p.without)
	}
	if n := len(p.devices); p.starts && n > 0 && n != p.slots {
		fault("devices", strings.Join(p.devices, " "), fmt.Sprintf("has %d entries, want one for each of the %d slots", n, p.slots))
	}
	for _, v := range p.environment {
		if name, _, _ := strings.Cut(v, "="); name == "" || strings.ContainsAny(name, " \t") {
			fault("environment", "", "want NAME or NAME=value in each entry")
		}
	}
	return faults
}
