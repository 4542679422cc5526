module github.com/tunebus/tunebus/events

go 1.26.5
