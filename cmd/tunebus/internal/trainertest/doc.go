// Package trainertest has tests of workers whose engine is a command: the trainer of
// the manual, in processes of their own that are killed at random. They need a python3;
// "make test-trainer" wants one.
package trainertest
