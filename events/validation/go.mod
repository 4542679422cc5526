module github.com/tunebus/tunebus/events/validation

go 1.26.5

require (
	github.com/santhosh-tekuri/jsonschema/v6 v6.0.1
	github.com/tunebus/tunebus/events v0.0.0
	go.yaml.in/yaml/v3 v3.0.6
)

require golang.org/x/text v0.14.0 // indirect

replace github.com/tunebus/tunebus/events => ../
