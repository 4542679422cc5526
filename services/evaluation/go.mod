module github.com/tunebus/tunebus/services/evaluation

go 1.26.5

require (
	github.com/openai/openai-go/v3 v3.96.0
	github.com/tunebus/tunebus/events v0.0.0
	github.com/tunebus/tunebus/pipeline v0.0.0
	golang.org/x/text v0.43.0
)

require (
	github.com/coder/websocket v1.8.15 // indirect
	github.com/tidwall/gjson v1.20.0 // indirect
	github.com/tidwall/match v1.1.1 // indirect
	github.com/tidwall/pretty v1.2.1 // indirect
	github.com/tidwall/sjson v1.2.5 // indirect
)

replace (
	github.com/tunebus/tunebus/events => ../../events
	github.com/tunebus/tunebus/pipeline => ../../pipeline
)
