module github.com/tunebus/tunebus/cmd/tunebus

go 1.26.5

require (
	github.com/tunebus/tunebus/events v0.0.0
	github.com/tunebus/tunebus/pipeline v0.0.0
	github.com/tunebus/tunebus/embedded v0.0.0
	github.com/tunebus/tunebus/llm v0.0.0
	github.com/tunebus/tunebus/services/intake v0.0.0
	github.com/tunebus/tunebus/services/finetune v0.0.0
	github.com/tunebus/tunebus/services/inference v0.0.0
	github.com/tunebus/tunebus/services/evaluation v0.0.0
	github.com/tunebus/tunebus/services/tracker v0.0.0
)

replace (
	github.com/tunebus/tunebus/events => ../../events
	github.com/tunebus/tunebus/pipeline => ../../pipeline
	github.com/tunebus/tunebus/embedded => ../../embedded
	github.com/tunebus/tunebus/llm => ../../llm
	github.com/tunebus/tunebus/services/intake => ../../services/intake
	github.com/tunebus/tunebus/services/finetune => ../../services/finetune
	github.com/tunebus/tunebus/services/inference => ../../services/inference
	github.com/tunebus/tunebus/services/evaluation => ../../services/evaluation
	github.com/tunebus/tunebus/services/tracker => ../../services/tracker
)
