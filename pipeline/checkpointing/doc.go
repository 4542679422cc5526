// Package checkpointing saves the checkpoints of one attempt at a phase, and
// finds the checkpoint that a later attempt resumes from.
//
// A checkpoint is a folder in the artifact store and an entry in the registry,
// the KV bucket of NATS, which names the newest one. A [Saver] stores the
// folder, registers it, and then deletes the checkpoints that are too many, so
// that one is registered at any time:
//
//	s := checkpointing.NewSaver(job, checkpointing.SaverConfig{
//		Registry: registry, Files: files, Store: store, Connected: conn.Connected,
//	})
//	err := s.Save(ctx, step, dir, keep)
//	defer s.Close()
//
// # Promise
//
// A checkpoint that cannot be saved costs a later attempt work and this one
// nothing: the work neither waits nor fails. A checkpoint that is stored while
// NATS is unreachable is registered when NATS is back, see [Saver.RetryPending].
//
// # Failure
//
// A registry entry of a newer attempt is never replaced. [IsSuperseded] is then
// true of the error, and the attempt has lost its job. A registered checkpoint
// that does not verify costs work: [Loader.Fetch] falls back to an older one,
// or to the start.
package checkpointing
