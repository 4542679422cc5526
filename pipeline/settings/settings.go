// Package settings reads the configuration of a process: the addresses of the bus
// and the artifact store, the folders that it may use, and the credentials for
// each origin. Settings are never sent anywhere; the configuration of a run is its
// specification (package spec).
//
//	cfg, err := settings.Load(settings.Files(os.Environ()), os.Environ())
//
// A value comes from the last of these sources that has it: the default, a TOML
// file, a variable that other tools use too (such as HF_TOKEN), and the variable
// TUNEBUS_<SECTION>_<KEY>, such as TUNEBUS_BUS_URL or
// TUNEBUS_SERVICES_FINETUNE_SLOTS. All faults are returned at once.
//
// A secret may be in a file of its own: file:/run/secrets/hf_token.
package settings

import (
	"cmp"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/spec"
)

// Settings is the whole configuration of a process.
type Settings struct {
	Bus             Bus             `json:"bus"`
	Artifacts       Artifacts       `json:"artifacts"`
	Data            Data            `json:"data"`
	Credentials     Credentials     `json:"credentials"`
	Limits          spec.Limits     `json:"limits"`
	Services        Services        `json:"services"`
	Intake          Intake          `json:"services.intake"`
	Finetune        Finetune        `json:"services.finetune"`
	FinetuneStall   FinetuneStall   `json:"services.finetune.stall"`
	Inference       Inference       `json:"services.inference"`
	InferenceStall  InferenceStall  `json:"services.inference.stall"`
	Evaluation      Evaluation      `json:"services.evaluation"`
	EvaluationStall EvaluationStall `json:"services.evaluation.stall"`
	Tracker         Tracker         `json:"services.tracker"`
}

// Bus is the section bus: the connection to NATS.
type Bus struct {
	URL         string `json:"url" default:"" env:"NATS_URL" doc:"NATS servers, separated by commas; empty: nats://127.0.0.1:4222"`
	Context     string `json:"context" default:"" doc:"context of the nats command, instead of url"`
	Credentials string `json:"credentials" default:"" env:"NATS_CREDS" doc:"file with credentials for NATS (.creds)"`
	NKey        string `json:"nkey" default:"" env:"NATS_NKEY" doc:"file with the seed of a NATS user's key pair, instead of credentials"`
	CAFile      string `json:"ca_file" default:"" env:"NATS_CA" doc:"certificates that the server's is checked against (PEM)"`
	CertFile    string `json:"cert_file" default:"" env:"NATS_CERT" doc:"own certificate (PEM)"`
	KeyFile     string `json:"key_file" default:"" env:"NATS_KEY" doc:"key of the own certificate (PEM)"`

	UnknownFor time.Duration `json:"unknown_for" default:"168h" doc:"how long a message of an unknown version waits for a newer service before it becomes a dead letter"`
	RetryFor   time.Duration `json:"retry_for" default:"24h" doc:"how long a message that fails is tried again before it becomes a dead letter"`
}

// Artifacts is the section artifacts: the artifact store.
type Artifacts struct {
	URL      string        `json:"url" default:"" doc:"store that all services share: file:///folder, s3://bucket, gs://bucket, azblob://container or jetstream://bucket; run and up: default artifacts in the data folder"`
	Patience time.Duration `json:"patience" default:"1h" doc:"how long a job asks the store again that is full or away, before its attempt fails"`
}

// Data is the section data: the folders of a process, and the Hub.
type Data struct {
	Folder      string   `json:"folder" default:"tunebus-data" doc:"data folder of run and up"`
	Scratch     string   `json:"scratch" default:"" doc:"folder for temporary files, made if it is missing; default: the system's, for run and up scratch in the data folder"`
	Roots       []string `json:"roots" default:"" doc:"folders below which a request may name files; default: none, for run and up the working folder"`
	HubEndpoint string   `json:"hub_endpoint" default:"https://huggingface.co" env:"HF_ENDPOINT" doc:"Hugging Face Hub"`
	HubCache    string   `json:"hub_cache" default:"" env:"HF_HUB_CACHE" doc:"folder for what is fetched from the Hub, shared with huggingface_hub; default: hub in $HF_HOME, else ~/.cache/huggingface/hub"`
	HubOffline  bool     `json:"hub_offline" default:"false" env:"HF_HUB_OFFLINE" doc:"do not ask the Hub; use what its cache holds"`
}

// Credentials is the section credentials. Each credential belongs to one origin
// and is never sent to another.
type Credentials struct {
	HuggingFaceToken string   `json:"huggingface_token" default:"" env:"HF_TOKEN" secret:"true" doc:"token for data.hub_endpoint"`
	OpenAIKey        string   `json:"openai_key" default:"" env:"OPENAI_API_KEY" secret:"true" doc:"key for services.evaluation.judge_base_url, and for services.inference.endpoint of the same origin"`
	WandbKey         string   `json:"wandb_key" default:"" env:"WANDB_API_KEY" secret:"true" doc:"key for Weights & Biases, for trainers whose fine_tuner.report_to names it; also $WANDB_TOKEN"`
	MLflowUsername   string   `json:"mlflow_username" default:"" env:"MLFLOW_TRACKING_USERNAME" doc:"user for services.tracker.tracking_uri"`
	MLflowPassword   string   `json:"mlflow_password" default:"" env:"MLFLOW_TRACKING_PASSWORD" secret:"true" doc:"password for services.tracker.tracking_uri"`
	MLflowToken      string   `json:"mlflow_token" default:"" env:"MLFLOW_TRACKING_TOKEN" secret:"true" doc:"bearer token for services.tracker.tracking_uri; wins over the user"`
	ServeKey         string   `json:"serve_key" default:"" secret:"true" doc:"key that clients of tunebus serve have to send; --api-key-file wins over it"`
	Keys             []string `json:"keys" default:"" doc:"keys of further origins, each as origin=VARIABLE, such as \"https://judge.example=JUDGE_KEY\""`
}

// Services is the section services: settings of all services.
type Services struct {
	LogLevel  string `json:"log_level" default:"info" allowed:"debug|info|warn|error" doc:"least level that is logged"`
	LogFormat string `json:"log_format" default:"text" allowed:"text|json" doc:"how a line of the log is written"`
	Kernels   string `json:"kernels" default:"" allowed:"|avx512|avx2|neon|plain" doc:"instructions of the processor that the built-in engine uses; empty: the fastest; results are the same"`
}

// Intake is the section services.intake.
type Intake struct {
	FullAt   float64       `json:"full_at" default:"0.8" doc:"how full the stream of facts may be, from 0 to 1, before no more runs are admitted"`
	Patience time.Duration `json:"patience" default:"1s" doc:"how long the holder of a job has to end it after a cancel"`
}

// Worker is what the sections of all phases have.
type Worker struct {
	Queue string
	Slots int
	Grace time.Duration
	// ModelCache is the size in bytes.
	ModelCache int64
}

// Finetune is the section services.finetune.
type Finetune struct {
	Queue string        `json:"queue" default:"builtin" doc:"queue that jobs are taken from"`
	Slots int           `json:"slots" default:"1" doc:"jobs that are worked on at once"`
	Grace time.Duration `json:"grace" default:"0s" doc:"how long the end of a job may take after a shutdown; 0: 25s, 2m where all services are one process, and 5m with a command"`
	// Patience is the grace of the built-in engine where Grace is 0; 0: 25s. A program
	// sets it, no file.
	Patience time.Duration `json:"-"`
	// ModelCache is the size in bytes.
	ModelCache int64 `json:"model_cache" default:"34359738368" doc:"bytes of models and data from a store elsewhere that stay in the scratch folder for further jobs; the workers of a machine share them; 0: fetch them for each job"`

	Command     []string `json:"command" default:"" doc:"program that trains, with its arguments, such as [\"python3\", \"trainer.py\"]; it speaks the trainer protocol; empty: the built-in engine trains, or for the queue trl or unsloth the environment that \"tunebus engine install\" made"`
	Environment []string `json:"environment" default:"" doc:"further variables that the command gets, each as NAME or NAME=value"`
	Devices     []string `json:"devices" default:"" doc:"CUDA_VISIBLE_DEVICES of the command, one entry for each slot; empty: as the worker has it"`
}

// The grace of the built-in engine, and of a command, which may have to write a large
// checkpoint.
const (
	builtinGrace = 25 * time.Second
	commandGrace = 5 * time.Minute
)

// worker returns what all phases have.
func (f Finetune) worker() Worker {
	grace := f.Grace
	switch {
	case grace == 0 && len(f.Command) > 0:
		grace = commandGrace
	case grace == 0:
		grace = cmp.Or(f.Patience, builtinGrace)
	}
	return Worker{Queue: f.Queue, Slots: f.Slots, Grace: grace, ModelCache: f.ModelCache}
}

// Inference is the section services.inference.
type Inference struct {
	Queue     string        `json:"queue" default:"builtin" doc:"queue that jobs are taken from"`
	Slots     int           `json:"slots" default:"1" doc:"jobs that are worked on at once"`
	Grace     time.Duration `json:"grace" default:"10s" doc:"how long the end of a job may take after a shutdown"`
	SaveEvery time.Duration `json:"save_every" default:"30s" doc:"how often the answers so far are saved, so that another worker need not give them again"`
	// ModelCache is the size in bytes.
	ModelCache int64 `json:"model_cache" default:"34359738368" doc:"bytes of models and data from a store elsewhere that stay in the scratch folder for further jobs; the workers of a machine share them; 0: fetch them for each job"`

	Endpoint     string        `json:"endpoint" default:"" doc:"server with OpenAI's API that answers the jobs of the engine openai, such as \"http://vllm:8000/v1\"; its key is that of its origin in credentials.keys"`
	ServedModel  string        `json:"served_model" default:"" doc:"name that the server has for the base model; empty: the one of the run"`
	Parallel     int           `json:"parallel" default:"64" doc:"calls to the server at the same time, at most; fewer where it cannot keep up"`
	CallTimeout  time.Duration `json:"call_timeout" default:"10m" doc:"how long a call to the server may take before it is made again"`
	LoRAFolder   string        `json:"lora_folder" default:"" doc:"folder that this machine and the server share, for the adapters of runs"`
	LoRAPath     string        `json:"lora_path" default:"" doc:"path of lora_folder on the server; empty: the same"`
	LoRAResolver bool          `json:"lora_resolver" default:"false" doc:"the server finds adapters in lora_folder by itself: it is the VLLM_LORA_RESOLVER_CACHE_DIR of vLLM"`

	Command     []string `json:"command" default:"" doc:"program that answers the jobs of the engine transformers, with its arguments, such as [\"python\", \"-m\", \"tunebus_trainer.generate\"]; it speaks the trainer protocol"`
	Environment []string `json:"environment" default:"" doc:"further variables that the command gets, each as NAME or NAME=value"`
	Devices     []string `json:"devices" default:"" doc:"CUDA_VISIBLE_DEVICES of the command, one entry for each slot; empty: as the worker has it"`
}

// Evaluation is the section services.evaluation.
type Evaluation struct {
	Queue         string        `json:"queue" default:"builtin" doc:"queue that jobs are taken from"`
	Slots         int           `json:"slots" default:"1" doc:"jobs that are worked on at once"`
	Grace         time.Duration `json:"grace" default:"10s" doc:"how long the end of a job may take after a shutdown"`
	SaveEvery     time.Duration `json:"save_every" default:"30s" doc:"how often what the judge said is saved, so that another worker need not ask it again"`
	JudgeBaseURL  string        `json:"judge_base_url" default:"https://api.openai.com/v1" env:"OPENAI_BASE_URL" doc:"OpenAI-compatible server that judges"`
	JudgeAllowed  []string      `json:"judge_allowed" default:"" doc:"further origins that a specification may name as its judge"`
	JudgeParallel int           `json:"judge_parallel" default:"4" doc:"calls to the judge at the same time"`
}

// Tracker is the section services.tracker.
type Tracker struct {
	TrackingURI string   `json:"tracking_uri" default:"file:./mlruns" env:"MLFLOW_TRACKING_URI" doc:"MLflow: an http(s):// server or a file: folder"`
	Allowed     []string `json:"allowed" default:"" doc:"further origins that a specification may name as its tracking server"`
	FileRoot    string   `json:"file_root" default:"" doc:"folder that file: addresses of specifications have to lie in; default: none may be named, for run and up the working folder"`
	Reports     string   `json:"reports" default:"reports" doc:"folder of the reports"`
	Slots       int      `json:"slots" default:"2" doc:"runs that are written at once"`
}

// Worker returns the settings of the worker of a phase.
func (s Settings) Worker(p events.Phase) Worker {
	switch p {
	case events.Inference:
		return Worker{Queue: s.Inference.Queue, Slots: s.Inference.Slots, Grace: s.Inference.Grace, ModelCache: s.Inference.ModelCache}
	case events.Evaluation:
		return Worker{Queue: s.Evaluation.Queue, Slots: s.Evaluation.Slots, Grace: s.Evaluation.Grace}
	default:
		return s.Finetune.worker()
	}
}
