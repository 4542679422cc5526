package events

// Specification is the configuration of a run. Its keys are those of the
// configuration file. The tags of each field have its documentation, its default
// and, if there is a choice, the allowed values.
type Specification struct {
	FineTuner  FineTuner  `json:"fine_tuner"`
	Inferencer Inferencer `json:"inferencer"`
	Evaluator  Evaluator  `json:"evaluator"`
	MLflow     MLflow     `json:"mlflow"`
	Pipeline   Pipeline   `json:"pipeline"`
}

// FineTuner is the section fine_tuner. An empty text means no value.
type FineTuner struct {
	BaseModelID string `json:"base_model_id" default:"" doc:"model to start from: a Hub id or a local folder"`
	Engine      string `json:"engine" default:"builtin" allowed:"builtin|trl|unsloth|command" doc:"who trains; command: the program of the worker's settings"`
	Queue       string `json:"queue" default:"" doc:"queue of the job; default: the engine's name"`
	Timeout     string `json:"timeout" default:"" doc:"longest time of the phase over all its attempts, such as \"36h\", after which it fails; empty: limits.timeout of the settings"`

	IsMultimodel             bool `json:"is_multimodel" default:"false" doc:"the model sees images too"`
	FinetuneVisionLayers     bool `json:"finetune_vision_layers" default:"false" doc:"vision layers learn"`
	FinetuneLanguageLayers   bool `json:"finetune_language_layers" default:"false" doc:"language layers of a vision-language model learn"`
	FinetuneAttentionModules bool `json:"finetune_attention_modules" default:"false" doc:"attention of a vision-language model learns"`
	FinetuneMLPModules       bool `json:"finetune_mlp_modules" default:"false" doc:"MLPs of a vision-language model learn"`

	MaxSequenceLength int     `json:"max_sequence_length" default:"4096" doc:"tokens of a row; longer rows are cut"`
	DType             string  `json:"dtype" default:"" allowed:"|float16|bfloat16|float32" doc:"type of the weights; empty: automatic"`
	LoadIn4bit        bool    `json:"load_in_4bit" default:"false" doc:"quantise the base weights to 4 bits"`
	LoadIn8bit        bool    `json:"load_in_8bit" default:"false" doc:"quantise the base weights to 8 bits"`
	FullFinetuning    bool    `json:"full_finetuning" default:"false" doc:"train all weights instead of an adapter"`
	Rank              int     `json:"rank" default:"16" doc:"LoRA: rank of the adapter"`
	LoRAAlpha         float64 `json:"lora_alpha" default:"16" doc:"LoRA: scaling numerator"`
	LoRADropout       float64 `json:"lora_dropout" default:"0" doc:"LoRA: dropout before the adapter, from 0 to less than 1"`
	TargetModules     Modules `json:"target_modules" default:"q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj" doc:"LoRA: projections that get an adapter, or \"all-linear\""`
	Bias              string  `json:"bias" default:"none" allowed:"none|all|lora_only" doc:"LoRA: which biases learn"`

	UseDoRA       bool               `json:"use_dora,omitempty" default:"false" doc:"LoRA: magnitude and direction learn apart (DoRA)"`
	ModulesToSave []string           `json:"modules_to_save,omitempty" default:"" doc:"LoRA: modules beside the adapter that learn whole, such as lm_head"`
	RankPattern   map[string]float64 `json:"rank_pattern,omitempty" doc:"LoRA: another rank for modules, by their names or regular expressions"`
	AlphaPattern  map[string]float64 `json:"alpha_pattern,omitempty" doc:"LoRA: another lora_alpha for modules, by their names or regular expressions"`

	Method      string  `json:"method" default:"sft" allowed:"sft|dpo" doc:"sft: learns the answers of the rows; dpo: learns to prefer the chosen answer of each row over the rejected one"`
	DPOBeta     float64 `json:"dpo_beta" default:"0.1" doc:"DPO: how strongly the model is held near the base model"`
	Devices     int     `json:"devices" default:"1" doc:"processes that train, each with a device of its own"`
	Accelerator string  `json:"accelerator" default:"auto" allowed:"auto|ddp|fsdp2|zero2|zero3" doc:"how several processes share the training; auto: each has the whole model (ddp)"`

	TrainingDataID           string `json:"training_data_id" default:"" doc:"training data: a Hub id, a file or a folder"`
	ValidationDataID         string `json:"validation_data_id" default:"" doc:"validation data; optional"`
	DatasetNumProc           int    `json:"dataset_num_proc" default:"4" doc:"workers that prepare data"`
	QuestionColumn           string `json:"question_column" default:"question" doc:"column with the question"`
	GroundTruthColumn        string `json:"ground_truth_column" default:"answer" doc:"column with the right answer"`
	SystemPromptColumn       string `json:"system_prompt_column" default:"" doc:"column with a system prompt; optional"`
	SystemPromptOverrideText string `json:"system_prompt_override_text" default:"" doc:"system prompt for every row; wins over the column"`

	DataFormat         string    `json:"data_format" default:"auto" allowed:"auto|question_answer|messages|conversations|prompt_completion|alpaca|text|preference" doc:"shape of the rows; auto: recognised by their columns"`
	DataEncoding       string    `json:"data_encoding" default:"" doc:"encoding of text files, such as \"cp1252\"; empty: UTF-8, or UTF-16 with a byte order mark"`
	DataDelimiter      string    `json:"data_delimiter" default:"" doc:"character between the cells of CSV and TSV files, such as \"^\" or \"tab\"; empty: found in the first rows"`
	ImageColumn        string    `json:"image_column" default:"" doc:"column with an image or a list of images; optional"`
	TrainOn            string    `json:"train_on" default:"all" allowed:"all|last" doc:"which answers of a conversation count in the loss"`
	ChatTemplateKwargs Arguments `json:"chat_template_kwargs,omitempty" doc:"variables that the chat template gets, such as enable_thinking = false"`

	RunName       string `json:"run_name" default:"" doc:"name of the child run; default: the pipeline's with the phase behind it"`
	RunNamePrefix string `json:"run_name_prefix" default:"" doc:"put before the name"`
	RunNameSuffix string `json:"run_name_suffix" default:"" doc:"put behind the name"`

	WandbProjectName          string    `json:"wandb_project_name" default:"" doc:"project, where report_to says wandb"`
	DeviceTrainBatchSize      int       `json:"device_train_batch_size" default:"4" doc:"rows of a training batch"`
	DeviceValidationBatchSize int       `json:"device_validation_batch_size" default:"4" doc:"rows of a validation batch"`
	GradAccumulation          int       `json:"grad_accumulation" default:"4" doc:"batches of one optimizer step"`
	Epochs                    int       `json:"epochs" default:"3" doc:"passes over the training data"`
	LearningRate              float64   `json:"learning_rate" default:"0.0002" doc:"highest learning rate"`
	MaxSteps                  int       `json:"max_steps,omitempty" default:"0" doc:"optimizer steps of the training; 0: as many as epochs has"`
	WarmupSteps               int       `json:"warmup_steps" default:"5" doc:"steps until the highest learning rate; a number below 1 is a share of all steps"`
	WarmupRatio               float64   `json:"warmup_ratio,omitempty" default:"0" doc:"share of all steps until the highest learning rate, below 1; 0: warmup_steps counts"`
	WeightDecay               float64   `json:"weight_decay" default:"0.01" doc:"AdamW: weight decay"`
	MaxGradNorm               float64   `json:"max_grad_norm" default:"1" doc:"gradients are clipped to this norm; 0: not at all"`
	LRSchedulerType           string    `json:"lr_scheduler_type" default:"linear" allowed:"linear|cosine|constant|constant_with_warmup|cosine_with_restarts|polynomial|inverse_sqrt|reduce_lr_on_plateau|cosine_with_min_lr|cosine_warmup_with_min_lr|warmup_stable_decay|greedy" doc:"how the learning rate falls"`
	LRSchedulerKwargs         Arguments `json:"lr_scheduler_kwargs,omitempty" doc:"further arguments of lr_scheduler_type, such as min_lr_rate = 0.1"`
	Optimizer                 string    `json:"optimizer" default:"adamw_torch" doc:"optimizer, by its Hugging Face name"`
	OptimArgs                 string    `json:"optim_args,omitempty" default:"" doc:"further arguments of optimizer, as Hugging Face has them, such as \"momentum=0.9, nesterov=true\" of sgd"`
	AdamBeta1                 float64   `json:"adam_beta1,omitempty" default:"0" doc:"AdamW: decay of the mean of gradients, below 1; 0: 0.9"`
	AdamBeta2                 float64   `json:"adam_beta2,omitempty" default:"0" doc:"AdamW: decay of the mean of their squares, below 1; 0: 0.999"`
	AdamEpsilon               float64   `json:"adam_epsilon,omitempty" default:"0" doc:"AdamW: added to the root of that mean; 0: 1e-8"`
	Seed                      int       `json:"seed" default:"42" doc:"seed of everything random"`
	LogSteps                  int       `json:"log_steps" default:"1" doc:"steps between two points of the metrics"`
	LogFirstStep              bool      `json:"log_first_step" default:"true" doc:"the first step is logged in any case"`
	SaveSteps                 int       `json:"save_steps" default:"20" doc:"steps between two checkpoints, from which a later attempt goes on; 0: none"`
	SaveTotalLimit            int       `json:"save_total_limit" default:"3" doc:"newest checkpoints that are kept until fine-tuning is completed; 0: as many as possible"`
	EvalSteps                 int       `json:"eval_steps,omitempty" default:"0" doc:"steps between two validations; 0: one at the end of each epoch"`
	EarlyStoppingPatience     int       `json:"early_stopping_patience,omitempty" default:"0" doc:"validations without a lower eval_loss after which the training ends; 0: it never ends early"`
	LoadBestModelAtEnd        bool      `json:"load_best_model_at_end,omitempty" default:"false" doc:"the result is the model of the validation with the lowest eval_loss, not that of the last step"`
	PushToHub                 bool      `json:"push_to_hub" default:"false" doc:"push the model, the answers and the scores to the Hub when the run has ended; the tracker needs a token"`
	HubModelID                string    `json:"hub_model_id" default:"" doc:"repository of the model on the Hub, such as \"owner/name\"; default: the token's user and the name of the run"`
	PushAlways                bool      `json:"push_always,omitempty" default:"false" doc:"pushes to the Hub also where a gate is missed"`
	ReportTo                  string    `json:"report_to" default:"mlflow" doc:"where the trainer itself reports"`
	Packing                   bool      `json:"packing" default:"false" doc:"several rows in one sequence"`
	UseGradientCheckpointing  Switch    `json:"use_gradient_checkpointing" default:"false" doc:"true, false or \"unsloth\""`
	UseFlashAttention         bool      `json:"use_flash_attention" default:"false" doc:"a hint"`
	UseRSLoRA                 bool      `json:"use_rslora" default:"false" doc:"LoRA: rank-stabilised scaling"`
	LoftQConfig               string    `json:"loftq_config" default:"" doc:"LoftQ"`
	QuestionPart              string    `json:"question_part" default:"" doc:"marker before a question; default: the chat template's"`
	AnswerPart                string    `json:"answer_part" default:"" doc:"marker before an answer; default: the chat template's"`
	TrainOnResponsesOnly      bool      `json:"train_on_responses_only" default:"true" doc:"only answers count in the loss"`
}

// Inferencer is the section inferencer.
type Inferencer struct {
	Engine   string `json:"engine" default:"builtin" allowed:"builtin|openai|transformers" doc:"who answers"`
	Queue    string `json:"queue" default:"" doc:"queue of the job; default: the engine's name"`
	Timeout  string `json:"timeout" default:"" doc:"longest time of the phase over all its attempts, such as \"36h\", after which it fails; empty: limits.timeout of the settings"`
	ModelID  string `json:"model_id" default:"" doc:"model that answers where nothing was trained; default: fine_tuner.base_model_id"`
	Baseline bool   `json:"baseline" default:"false" doc:"the base model answers too, to compare"`

	MaxSequenceLength        int       `json:"max_sequence_length" default:"4096" doc:"tokens of a prompt; longer ones lose their start"`
	DType                    string    `json:"dtype" default:"" allowed:"|float16|bfloat16|float32" doc:"type of the weights; empty: automatic"`
	LoadIn4bit               bool      `json:"load_in_4bit" default:"false" doc:"quantise the weights to 4 bits"`
	LoadIn8bit               bool      `json:"load_in_8bit" default:"false" doc:"quantise the weights to 8 bits"`
	TestingDataID            string    `json:"testing_data_id" default:"" doc:"test data: a Hub id, a file or a folder"`
	QuestionColumn           string    `json:"question_column" default:"question" doc:"column with the question"`
	GroundTruthColumn        string    `json:"ground_truth_column" default:"answer" doc:"column with the right answer"`
	SystemPromptColumn       string    `json:"system_prompt_column" default:"" doc:"column with a system prompt; optional"`
	SystemPromptOverrideText string    `json:"system_prompt_override_text" default:"" doc:"system prompt for every row; wins over the column"`
	DataFormat               string    `json:"data_format" default:"auto" allowed:"auto|question_answer|messages|conversations|prompt_completion|alpaca|text" doc:"shape of the rows; auto: recognised by their columns"`
	DataEncoding             string    `json:"data_encoding" default:"" doc:"encoding of text files, such as \"cp1252\"; empty: UTF-8, or UTF-16 with a byte order mark"`
	DataDelimiter            string    `json:"data_delimiter" default:"" doc:"character between the cells of CSV and TSV files, such as \"^\" or \"tab\"; empty: found in the first rows"`
	ImageColumn              string    `json:"image_column" default:"" doc:"column with an image or a list of images; optional"`
	ChatTemplateKwargs       Arguments `json:"chat_template_kwargs,omitempty" doc:"variables that the chat template gets, such as enable_thinking = false"`
	MaxNewTokens             int       `json:"max_new_tokens" default:"512" doc:"tokens of an answer, at most"`
	UseCache                 bool      `json:"use_cache" default:"true" doc:"keep keys and values between tokens"`
	Temperature              float64   `json:"temperature" default:"0.7" doc:"0: always the likeliest token"`
	TopK                     int       `json:"top_k" default:"0" doc:"choose among so many tokens; 0: all"`
	TopP                     float64   `json:"top_p" default:"1" doc:"choose among the tokens that hold this probability"`
	MinP                     float64   `json:"min_p" default:"0.1" doc:"leave out tokens below this share of the likeliest one's probability"`
	RepetitionPenalty        float64   `json:"repetition_penalty,omitempty" default:"0" doc:"makes tokens of the prompt and of the answer less likely, above 1; 0 and 1: leaves them alone"`
	Seed                     int       `json:"seed" default:"42" doc:"seed of the choice"`
	Stop                     []string  `json:"stop,omitempty" default:"" doc:"texts at which an answer ends; they are no part of it"`
	BatchSize                int       `json:"batch_size" default:"16" doc:"rows answered at once"`
	RequireActiveAdapter     bool      `json:"require_active_adapter,omitempty" default:"false" doc:"inference fails where it cannot be proved that the server uses the adapter"`
	HFUserID                 string    `json:"hf_user_id" default:"" doc:"account or organisation of the Hub to which the answers are pushed, also without push_to_hub; default: the token's user"`
	RunName                  string    `json:"run_name" default:"" doc:"name of the child run; default: the pipeline's with the phase behind it"`
	RunNamePrefix            string    `json:"run_name_prefix" default:"" doc:"put before the name"`
	RunNameSuffix            string    `json:"run_name_suffix" default:"" doc:"put behind the name"`
}

// Evaluator is the section evaluator.
type Evaluator struct {
	Engine  string `json:"engine" default:"builtin" allowed:"builtin" doc:"who scores"`
	Queue   string `json:"queue" default:"" doc:"queue of the job; default: the engine's name"`
	Timeout string `json:"timeout" default:"" doc:"longest time of the phase over all its attempts, such as \"36h\", after which it fails; empty: limits.timeout of the settings"`

	Metrics                    []string           `json:"metrics" default:"bleu_score,rouge_score" doc:"metrics to compute"`
	Gates                      map[string]float64 `json:"gates,omitempty" doc:"smallest mean of a score, by its name, for the run to pass"`
	AnswerColumn               string             `json:"answer_column" default:"" doc:"column with the answer in a file of answers; empty: recognised by its name"`
	StripReasoning             bool               `json:"strip_reasoning" default:"true" doc:"answers are scored without the text of a think block"`
	GateCoverage               float64            `json:"gate_coverage" default:"0" doc:"smallest share of the rows that need a score for a gate to be met, up to 1; 0: 1 for reference metrics, 0.95 for judged ones"`
	LLM                        string             `json:"llm" default:"gpt-4o-mini" doc:"model that judges"`
	Embedding                  string             `json:"embedding" default:"text-embedding-3-small" doc:"model that embeds"`
	JudgeBaseURL               string             `json:"judge_base_url" default:"" doc:"OpenAI-compatible server of the judge; its origin has to be allowed"`
	RunName                    string             `json:"run_name" default:"" doc:"name of the child run; default: the pipeline's with the phase behind it"`
	RunNamePrefix              string             `json:"run_name_prefix" default:"" doc:"put before the name"`
	RunNameSuffix              string             `json:"run_name_suffix" default:"" doc:"put behind the name"`
	CostPerMillionInputTokens  float64            `json:"cost_per_million_input_tokens" default:"0.15" doc:"US dollars"`
	CostPerMillionOutputTokens float64            `json:"cost_per_million_output_tokens" default:"0.6" doc:"US dollars"`
	HFUserID                   string             `json:"hf_user_id" default:"" doc:"account or organisation of the Hub to which the scores are pushed, also without push_to_hub; default: the token's user"`
}

// MLflow is the section mlflow.
type MLflow struct {
	TrackingURI    string `json:"tracking_uri" default:"" doc:"http(s):// server or file: folder; default: the tracker's setting"`
	ExperimentName string `json:"experiment_name" default:"tunebus" doc:"experiment of the runs"`
	RunName        string `json:"run_name" default:"" doc:"name of the run; default: a generated one"`
	RunNamePrefix  string `json:"run_name_prefix" default:"" doc:"put before the name"`
	RunNameSuffix  string `json:"run_name_suffix" default:"" doc:"put behind the name"`
	RegisterAs     string `json:"register_as" default:"" doc:"name in MLflow's model registry under which the tuned model of a run is registered whose gates are met; empty: none"`
}

// Pipeline is the section pipeline.
type Pipeline struct {
	EnableFinetuning    bool      `json:"enable_finetuning" default:"true" doc:"fine-tune"`
	EnableInference     bool      `json:"enable_inference" default:"true" doc:"answer the test questions"`
	EnableEvaluation    bool      `json:"enable_evaluation" default:"true" doc:"score the answers"`
	StopAfterFinetuning bool      `json:"stop_after_finetuning" default:"false" doc:"end behind fine-tuning, also where it is disabled"`
	StopAfterInference  bool      `json:"stop_after_inference" default:"false" doc:"end behind inference, also where it is disabled"`
	OnFinetuningFailure OnFailure `json:"on_finetuning_failure" default:"stop" allowed:"stop|continue" doc:"whether the run goes on with the base model when fine-tuning fails"`
	MaxTries            int       `json:"max_tries" default:"3" doc:"attempts of a phase that may end by an error"`
	MaxCrashes          int       `json:"max_crashes" default:"5" doc:"attempts of a phase that may end without a word, or since they made no progress"`
	Backoff             string    `json:"backoff" default:"" doc:"wait before a phase is tried again, which doubles with each try and varies, such as \"30s\"; empty: 5s"`
	Deadline            string    `json:"deadline" default:"" doc:"the run is cancelled when it takes longer, such as \"36h\"; empty: limits.deadline of the settings"`
}
