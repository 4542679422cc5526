// Package answers keeps the answers of a job as they come, so that no question is
// answered twice whatever happens to the process or the machine.
//
//	log, err := answers.Open(answers.Config{Job: job, Rows: rows, Folder: folder})
//	defer log.Close()
//	if a, ok, err := log.Find(pass, row, digest); !ok {
//		…
//		err = log.Add(ctx, answers.Answer{Pass: pass, Row: row, Of: digest, Prediction: p})
//	}
//	err = log.Write(pass, file) // in the order of the rows
//
// # What is lost when
//
// Each answer is a line of a file in a folder of the machine, and it is written before
// Add returns. So a process that is killed loses no answer that it was given. The file is synced
// in small batches: a machine that loses its power loses about a second of answers.
// The file is stored as the job's checkpoint at intervals: a worker of another machine
// asks again what was answered since then.
//
// An answer counts only for the question that it was given to: its digest is kept with
// it.
package answers
