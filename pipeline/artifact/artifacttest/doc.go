// Package artifacttest holds what every [artifact.Backend] must do, as tests.
package artifacttest
