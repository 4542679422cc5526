// Package mlflow writes runs to MLflow, over its REST API or into its file layout.
//
// # Repeating
//
// Every call of a [Target] may be repeated with the same arguments and leaves
// the same result: a run is found again by its [RunKey], a parameter that is
// there already is not written again, metric points are a set, tags and
// artifacts are overwritten. A caller therefore brings MLflow up to date by
// saying everything again, after a crash or a lost answer as on the first day.
//
// # What MLflow would refuse or spoil
//
// Names are cleaned ([CleanName]), long values are cut at MLflow's own limits,
// and metrics that are not finite are sent in the form that MLflow keeps. The
// server answers 200 to several wrong JSON types and drops the rest of the
// request, so request bodies are made from typed structs only.
//
// # Secrets
//
// Credentials are taken from [Options] alone. Errors name the host of a server
// and never its address, header or user.
package mlflow
