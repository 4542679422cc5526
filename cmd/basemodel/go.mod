module github.com/tunebus/tunebus/cmd/basemodel

go 1.26.5

require github.com/tunebus/tunebus/llm v0.0.0

replace github.com/tunebus/tunebus/llm => ../../llm
