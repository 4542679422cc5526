module github.com/tunebus/tunebus/services/finetune

go 1.26.5

require (
	github.com/tunebus/tunebus/events v0.0.0
	github.com/tunebus/tunebus/llm v0.0.0
	github.com/tunebus/tunebus/pipeline v0.0.0
)

replace (
	github.com/tunebus/tunebus/events => ../../events
	github.com/tunebus/tunebus/llm => ../../llm
	github.com/tunebus/tunebus/pipeline => ../../pipeline
)
