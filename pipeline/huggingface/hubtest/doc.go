// Package hubtest is a Hub for tests: a server in the process that speaks the part of
// the Hub's HTTP API that clients use to download and, by the large-file way, to push.
// It was written after recordings of huggingface_hub.
//
//	hub := hubtest.New(t)
//	client, err := hubapi.New(hubapi.Options{Endpoint: hub.URL, Token: hubtest.Token})
//	...
//	if hub.Commits(hubapi.Models, "someone/name") != 1 { … }
//
// [Server.Intercept] makes it fail.
package hubtest
