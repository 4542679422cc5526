package joblog

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/redaction"
)

// The levels of lines that no logger wrote.
const (
	Info   = "info"
	Stdout = "stdout"
	Stderr = "stderr"
)

const (
	// maxWaiting and maxWaitingBytes bound the lines that wait to be sent.
	maxWaiting      = 2000
	maxWaitingBytes = 1 << 20
	// sendInterval is how often lines are sent; batchesAtOnce bounds what is sent
	// then, so that an attempt logs 400 lines a second at most.
	sendInterval  = 250 * time.Millisecond
	batchesAtOnce = 4
)

// Publisher sends an event without waiting for an answer.
type Publisher interface {
	PublishMetric(ctx context.Context, ev events.Event) error
}

// Config says whose log it is.
type Config struct {
	RunID     string
	Phase     events.Phase
	Attempt   int
	Publisher Publisher
	// Environ returns the variables of the process, as [os.Environ] does. It is called
	// before the first line. Values of those that hold secrets are kept out of the log.
	Environ func() []string
}

// Log is the log of an attempt. It is safe for concurrent use. Most attempts have
// nothing to say, so everything that costs something begins with the first line.
type Log struct {
	cfg     Config
	secrets func() *redaction.Secrets

	mu      sync.Mutex
	waiting []numbered
	bytes   int
	next    int64 // the number of the next line
	sending bool
	closed  bool

	wake    chan struct{}
	closing chan struct{}
	done    sync.WaitGroup
}

// numbered is a line with its number.
type numbered struct {
	number int64
	events.LogLine
}

// Start starts a log. Close has to be called.
func Start(cfg Config) *Log {
	secrets := sync.OnceValue(func() *redaction.Secrets { return redaction.New(redaction.OfVariables(cfg.Environ())...) })
	return &Log{cfg: cfg, secrets: secrets, next: 1, wake: make(chan struct{}, 1), closing: make(chan struct{})}
}

// Write adds a line. It never blocks, and returns the line as readers see it.
func (l *Log) Write(level, text string) string { return l.add(time.Now(), level, text) }

func (l *Log) add(at time.Time, level, text string) string {
	// A line that is far too long is cut before anything looks at it.
	const most = 4 * events.MaxLogLineBytes
	text = l.secrets().Hide(strings.ToValidUTF8(text[:min(len(text), most)], "\uFFFD"))
	text = events.Cut(strings.TrimRight(text, "\r\n"), events.MaxLogLineBytes)
	l.mu.Lock()
	defer l.mu.Unlock()
	number := l.next
	l.next++
	if l.closed || len(l.waiting) >= maxWaiting || l.bytes+len(text) > maxWaitingBytes {
		return text // its number is missing
	}
	l.waiting = append(l.waiting, numbered{number, events.LogLine{Time: at.UTC(), Level: level, Text: text}})
	l.bytes += len(text)
	if !l.sending {
		l.sending = true
		l.done.Go(l.send)
	}
	select {
	case l.wake <- struct{}{}:
	default:
	}
	return text
}

// Close sends what waits, a bounded part of it, and ends the log. Lines that come
// later are dropped.
func (l *Log) Close() {
	l.mu.Lock()
	again := l.closed
	l.closed = true
	l.mu.Unlock()
	if !again {
		close(l.closing)
	}
	l.done.Wait()
}

// send sends lines until the log is closed.
func (l *Log) send() {
	pause := time.NewTicker(sendInterval)
	defer pause.Stop()
	for {
		select {
		case <-l.wake:
			l.sendSome(batchesAtOnce)
		case <-l.closing:
			l.sendSome(maxWaiting / events.MaxLogLines)
			return
		}
		select {
		case <-pause.C:
		case <-l.closing: // the job does not wait
		}
	}
}

// sendSome sends so many batches at most. A batch that cannot be sent is lost.
func (l *Log) sendSome(batches int) {
	for range batches {
		batch := l.take()
		if len(batch) == 0 {
			return
		}
		ev := events.Log{RunID: l.cfg.RunID, Phase: l.cfg.Phase, Attempt: l.cfg.Attempt, First: batch[0].number}
		for _, line := range batch {
			ev.Lines = append(ev.Lines, line.LogLine)
		}
		_ = l.cfg.Publisher.PublishMetric(context.Background(), ev) // a log must not disturb its job
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) > 0 && !l.closed {
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
}

// take takes the next lines whose numbers follow each other.
func (l *Log) take() []numbered {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for n < min(len(l.waiting), events.MaxLogLines) && l.waiting[n].number == l.waiting[0].number+int64(n) {
		l.bytes -= len(l.waiting[n].Text)
		n++
	}
	batch := l.waiting[:n:n]
	l.waiting = l.waiting[n:]
	if len(l.waiting) == 0 {
		l.waiting = nil
	}
	return batch
}
