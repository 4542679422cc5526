// Package firsthour is the first hour of a person with tunebus: its tests type the
// commands of README.md and of the manual into a real terminal, and compare what
// the person sees with committed screens.
//
// Every command that the program proposes is typed, too. A screen is what one
// command left on the terminal, with times, ids and sizes masked; they are in
// testdata, and a change of them is written with:
//
//	go test ./internal/firsthour -update
package firsthour
