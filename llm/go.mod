module github.com/tunebus/tunebus/llm

go 1.26.5

require (
	github.com/gomlx/compute v0.1.6 // indirect
	github.com/gomlx/gomlx v0.28.8 // indirect
	github.com/pkg/errors v0.9.1 // indirect
	golang.org/x/exp v0.0.0-20260410095643-746e56fc9e2f // indirect
)
