// Package embedded runs a NATS server with JetStream inside the process, for
// tests and for installations without a NATS cluster.
//
// The data folder belongs to one process at a time. [Start] locks it, because
// two servers on one store corrupt it without an error.
//
//	s, err := embedded.Start(ctx, embedded.Options{Dir: "data/nats"})
//	if err != nil {
//		return err
//	}
//	defer s.Stop()
//	c, err := conn.Connect(ctx, conn.Options{InProcess: s, Name: "intake"})
package embedded
