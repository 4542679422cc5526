module github.com/tunebus/tunebus/trainers

go 1.26.5
