package conn

import "time"

// Op is a kind of message to the server. Each message of this program is of one
// kind; embedded/bustest/wire_op.go tells which.
type Op string

// The kinds. Each that has an answer has its own limit, see [Op.Limit].
const (
	// Stream and consumer configuration.
	ApplyStream   Op = "apply stream"
	ApplyBucket   Op = "apply bucket"
	ApplyConsumer Op = "apply consumer"

	// State of streams and consumers.
	StreamInfo    Op = "stream info"
	ListSubjects  Op = "list subjects"
	ConsumerInfo  Op = "consumer info"
	ListConsumers Op = "list consumers"

	// Messages of a stream. PublishMetric has no answer: a point may get lost.
	Publish       Op = "publish"
	PublishMetric Op = "publish metric"
	GetMessage    Op = "get message"
	GetBatch      Op = "get batch"
	DeleteMessage Op = "delete message"
	Purge         Op = "purge"

	// Deliveries of a consumer, and the replies to them. Pull has no single
	// answer: the messages come as they are there, and the heartbeats of the
	// server bound the wait. Heartbeat and Term have none at all.
	Pull      Op = "pull"
	Ack       Op = "ack"
	Nak       Op = "nak"
	Heartbeat Op = "heartbeat"
	Term      Op = "term"

	// Keys of a bucket.
	BindBucket Op = "bind bucket"
	GetKey     Op = "get key"
	PutKey     Op = "put key"
	DeleteKey  Op = "delete key"

	// Objects of the Object Store.
	BindObjects  Op = "bind object store"
	ObjectInfo   Op = "object info"
	PublishChunk Op = "publish chunk"

	// Flush waits until the server has seen everything that was sent before.
	Flush Op = "flush"
)

// isPatient reports whether requests of the kind wait longer for a slow server. An Ack and a
// Nak do not: they are carried out without their answers as well, and the ack wait of
// their message runs meanwhile.
func (o Op) isPatient() bool { return o != Ack && o != Nak }

// Limit is how long a request of the kind may take, unless the server was found to be slow.
func (o Op) Limit() time.Duration {
	switch o {
	case Ack, Nak:
		return 2 * time.Second // the ack wait brings the message back otherwise
	case GetBatch, PublishChunk, ApplyStream, ApplyBucket, ApplyConsumer:
		return 10 * time.Second
	case ListSubjects, ListConsumers, Purge:
		return 30 * time.Second // work in proportion to what the server holds
	default:
		return 5 * time.Second
	}
}
