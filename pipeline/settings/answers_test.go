package settings_test

import (
	"strings"
	"testing"

	"github.com/tunebus/tunebus/pipeline/settings"
)

// TestAnswers: what belongs to a server, and to a command, that answers.
func TestAnswers(t *testing.T) {
	t.Parallel()
	const prefix = "TUNEBUS_SERVICES_INFERENCE_"
	for name, c := range map[string]struct {
		environ []string
		fault   string
	}{
		"server":            {[]string{"ENDPOINT=http://vllm:8000/v1", "QUEUE=openai", "LORA_FOLDER=/a", "LORA_PATH=/b", "LORA_RESOLVER=true"}, ""},
		"command":           {[]string{"COMMAND=python,-m,x", "QUEUE=transformers", "SLOTS=2", "DEVICES=0,1"}, ""},
		"own queue":         {[]string{"ENDPOINT=http://vllm:8000/v1", "QUEUE=large"}, ""},
		"no server":         {[]string{"QUEUE=openai"}, `services.inference.endpoint: is missing`},
		"no command":        {[]string{"QUEUE=transformers"}, `services.inference.command: is missing`},
		"both":              {[]string{"ENDPOINT=http://vllm:8000/v1", "COMMAND=x", "QUEUE=openai"}, "a worker has one of them"},
		"queue of another":  {[]string{"ENDPOINT=http://vllm:8000/v1"}, "services.inference.queue = builtin"},
		"queue of a server": {[]string{"COMMAND=x", "QUEUE=openai"}, "services.inference.queue = openai"},
		"no address":        {[]string{"ENDPOINT=vllm:8000", "QUEUE=openai"}, "want an address such as"},
		"key in it":         {[]string{"ENDPOINT=http://vllm/v1?key=sk-secret", "QUEUE=openai"}, "has a query"},
		"password in it":    {[]string{"ENDPOINT=http://me:sk-secret@vllm/v1", "QUEUE=openai"}, "must not hold a user or password"},
		"no calls":          {[]string{"PARALLEL=0"}, "services.inference.parallel = 0"},
		"no time":           {[]string{"CALL_TIMEOUT=1ms"}, "services.inference.call_timeout = 1ms"},
		"no folder":         {[]string{"LORA_PATH=/b"}, "services.inference.lora_folder: is missing"},
		"devices":           {[]string{"DEVICES=0"}, "has no effect without services.inference.command"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var environ []string
			for _, v := range c.environ {
				environ = append(environ, prefix+v)
			}
			_, err := settings.Load(nil, environ)
			switch {
			case c.fault == "" && err != nil:
				t.Error(err)
			case c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault) || strings.Contains(err.Error(), "secret")):
				t.Errorf("%v, want %q", err, c.fault)
			}
		})
	}
}
