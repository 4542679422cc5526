module github.com/tunebus/tunebus/cmd/basemodel

go 1.26.5

require github.com/tunebus/tunebus/llm v0.0.0

require (
	github.com/rivo/uniseg v0.4.7 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/text v0.35.0 // indirect
)

replace github.com/tunebus/tunebus/llm => ../../llm
