module github.com/tunebus/tunebus/llm

go 1.26.0
