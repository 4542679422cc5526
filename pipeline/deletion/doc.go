// Package deletion removes runs that have ended: facts, metric points, checkpoints,
// artifacts that no other run refers to, dead letters and archives.
//
//	d := deletion.New(conn, store)
//	plan, err := d.Plan(ctx, []string{id}, deletion.Options{})
//	report, err := d.Delete(ctx, plan, deletion.Options{})
//
// # Order
//
//  1. pipeline.deleted is stored. From here on nobody takes the run for one: lists
//     leave it out, intake answers its request, workers leave its jobs alone, and the
//     tracker removes its reports and marks its MLflow runs.
//  2. Its dead letters go, and then its artifacts, by package gc: what another run, an
//     archive or a pending request refers to stays, and so does content of the last
//     hour. The facts are still there, because they tell which content that is.
//  3. Its archive goes.
//  4. Its metric points go, and its facts, that it was accepted last.
//
// If the process dies in between, the fact of step 1 and that of the acceptance
// remain, or the archive. [Deleter.Unfinished] finds such runs, and Delete goes on
// with them. pipeline.deleted stays for ever, so that the id is never used again.
package deletion
