// Package rundetail writes everything that is known of one run: what it was made
// of, how far it is or how it ended, how its loss went, its scores, and where its
// results are.
//
//	return console.Print(rundetail.Show(rundetail.Detail{Run: run}))
package rundetail
