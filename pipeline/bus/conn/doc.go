// Package conn is the connection to NATS that the packages below pipeline/bus
// share, and the one place through which requests reach the server.
//
// [Connect] waits for a server that is not there yet. [Conn.Request] and
// [Conn.RequestMany] run one request of a named kind ([Op]) and end it after
// the kind's own limit, whatever deadline the caller's context has: a lost
// reply costs seconds, never the rest of a phase. A request that ended so may
// have been carried out; its caller reads the state back before it repeats it.
// The repeated request waits twice as long, up to half a minute, so that it
// succeeds on a server that is only slow.
//
//	c, err := conn.Connect(ctx, conn.Options{URL: "nats://127.0.0.1:4222", Name: "inference"})
//	if err != nil {
//		return err
//	}
//	defer c.Close()
//	facts := history.New(c)
//
// [Conn.Subscribe] and [Conn.Send] are core NATS: at most once, without a
// reply. They serve wake-ups, metric points, pull requests, and replies to a
// delivery of which a lost one costs a redelivery; never facts.
//
// The reply router ([Conn.RequestMany]) is ours because a batched direct get
// has many replies, and counts only with the status at its end: nats.go routes
// one reply to one request, and its subscription for each request costs the
// client half a megabyte. It also reports a publish that the server refused by
// permissions, which a request of nats.go waits out.
//
// Its tests with a real server are in embedded/bustest.
package conn
