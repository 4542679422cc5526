module github.com/tunebus/tunebus/services/intake

go 1.26.0

require (
	github.com/oklog/ulid/v2 v2.1.2
	github.com/tunebus/tunebus/events v0.0.0
	github.com/tunebus/tunebus/pipeline v0.0.0
)

replace (
	github.com/tunebus/tunebus/events => ../../events
	github.com/tunebus/tunebus/pipeline => ../../pipeline
)
