// Package restapi is the MLflow target that writes over MLflow's REST API 2.0.
//
// The server has to proxy artifacts (--artifacts-destination), because the
// client has no credentials of the artifact store behind it.
//
// # Failures
//
// A call is repeated with a growing delay while the server cannot be reached
// or answers that it is overloaded, up to [Options.Tries] times. Then the
// error matches mlflow.ErrUnavailable. A refusal is an [*APIError] and is
// not repeated. Creating a run is not idempotent in MLflow, so the client
// searches for the run before each try to create it and after the last one.
//
// The server answers 200 to several wrong JSON types and drops the rest of the
// request, so request bodies are made from typed structs only.
//
// # Secrets
//
// Credentials come from [Options] alone. The client follows no redirect, which
// could lead a credential to another host.
//
// The client is ours because MLflow has no Go client, and generated ones know
// neither the search before a creation nor proxied artifacts.
package restapi
