module github.com/tunebus/tunebus/pipeline

go 1.26.0

require (
	github.com/tunebus/tunebus/events v0.0.0
)

replace (
	github.com/tunebus/tunebus/events => ../events
)
