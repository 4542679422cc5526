module github.com/tunebus/tunebus/services/evaluation

go 1.26.0

require (
	github.com/tunebus/tunebus/events v0.0.0
	github.com/tunebus/tunebus/pipeline v0.0.0
	golang.org/x/text v0.43.0
)

replace (
	github.com/tunebus/tunebus/events => ../../events
	github.com/tunebus/tunebus/pipeline => ../../pipeline
)
