package conn

import "time"

// Op is a kind of request to the server.
type Op string

// The kinds of requests. Each has its own limit, see [Op.Limit].
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

	// Messages of a stream.
	Publish       Op = "publish"
	GetMessage    Op = "get message"
	GetBatch      Op = "get batch"
	DeleteMessage Op = "delete message"
	Purge         Op = "purge"

	// Replies to a delivery.
	Ack Op = "ack"
	Nak Op = "nak"

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

// Limit is how long a request of the kind may take.
func (o Op) Limit() time.Duration {
	switch o {
	case Ack, Nak:
		return 2 * time.Second // the ack wait brings the message back otherwise
	case GetBatch, PublishChunk:
		return 10 * time.Second
	case ApplyStream, ApplyBucket, ApplyConsumer, ListSubjects, ListConsumers, Purge:
		return 30 * time.Second // work in proportion to what the server holds
	default:
		return 5 * time.Second
	}
}
