// Package child runs a trainer: a command that speaks the protocol of
// docs/trainers.md over a Unix socket. The command comes from the settings of the
// process, never from an event.
//
//	t, err := child.Start(child.Config{Command: command, Job: job, Folder: scratch, Output: log.Write})
//	for m := range t.Messages() { // ends when all processes of the trainer have ended
//		switch m := m.(type) {
//		case child.Checkpoint:
//			…
//			t.Send(child.CheckpointKept{Step: m.Step})
//		case child.Fault: // the trainer broke the protocol, and is killed
//		}
//	}
//	exit := t.Exit()
//
// # Flow
//
//	worker          supervisor         trainer
//	writes the job file
//	listens at TUNEBUS_SOCKET
//	starts ──────► starts ─────────► connects, hello
//	      ◄────────────────────────── stage, progress, checkpoint, …
//	checkpoint_kept, stop ──────────►
//	      ◄────────────────────────── result, then its end
//	      ◄─────── kills what is left
//	reads the last lines, closes the messages
//
// Package supervisor makes sure that no process is left. connection.go takes up a
// lost connection, and keeps the limits of the lines. trainer.go keeps those of
// time. Whoever reads the messages judges them.
package child
