// Package loglimit writes the same line of a log at most once a minute.
//
// A service that waits for something outside, such as a full stream, says the
// same thing at each try. [New] wraps a handler: of equal lines it writes the
// first, and after a minute the next one with the attribute "repeated", the
// number of lines that were left out in between. Lines are equal if their level,
// message and attributes are. What differs with each try does not count: the
// attributes "delivery", "try", "delay", "in" and "retry_in", the port of
// this side in an error about a connection, and the number in the name of a
// temporary file.
//
//	log := slog.New(loglimit.New(slog.NewTextHandler(os.Stderr, nil)))
//
// It is ours because samplers such as samber/slog-sampling drop lines without a
// count, and compare messages without their attributes.
package loglimit

import (
	"context"
	"hash/maphash"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// interval is the time between two equal lines.
const interval = time.Minute

// maxLines is how many different lines are remembered.
const maxLines = 4096

// ignored are the attributes that do not make a line another one: each try has
// its own.
var ignored = []string{"delivery", "try", "delay", "in", "retry_in"}

// localPort is the port of this side in an error of package net, such as "read
// tcp 127.0.0.1:35452->127.0.0.1:4222: connection reset by peer". Each
// connection has another one.
var localPort = regexp.MustCompile(`:\d+->`)

// temporaryName is the name of a temporary file or folder, such as
// "reports/.tmp-1234567890". Each try makes another one.
var temporaryName = regexp.MustCompile(`/(\.[a-z]+-)\d+`)

// New returns a handler that writes through next.
func New(next slog.Handler) slog.Handler {
	return &handler{next: next, lines: &lines{seed: maphash.MakeSeed(), now: time.Now, byHash: map[uint64]line{}}}
}

// handler is a [slog.Handler]. Handlers that were derived from one another share
// their lines.
type handler struct {
	next   slog.Handler
	prefix string // of the attributes and groups that With and WithGroup added
	lines  *lines
}

// Enabled implements [slog.Handler].
func (h *handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

// Handle implements [slog.Handler].
func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	left, write := h.lines.count(h.text(r))
	if !write {
		return nil
	}
	if left > 0 {
		r = r.Clone()
		r.AddAttrs(slog.Int("repeated", left))
	}
	return h.next.Handle(ctx, r)
}

// text is what makes a line different from others.
func (h *handler) text(r slog.Record) string {
	text := h.prefix + "\x00" + r.Level.String() + "\x00" + r.Message
	r.Attrs(func(a slog.Attr) bool {
		text += attrText(a)
		return true
	})
	return text
}

func attrText(a slog.Attr) string {
	if slices.Contains(ignored, a.Key) {
		return ""
	}
	value := a.Value.Resolve().String()
	if strings.Contains(value, "->") {
		value = localPort.ReplaceAllLiteralString(value, "->")
	}
	if strings.Contains(value, "/.") {
		value = temporaryName.ReplaceAllString(value, "/$1")
	}
	return "\x00" + a.Key + "=" + value
}

// WithAttrs implements [slog.Handler].
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	prefix := h.prefix
	for _, a := range attrs {
		prefix += attrText(a)
	}
	return &handler{next: h.next.WithAttrs(attrs), prefix: prefix, lines: h.lines}
}

// WithGroup implements [slog.Handler].
func (h *handler) WithGroup(name string) slog.Handler {
	return &handler{next: h.next.WithGroup(name), prefix: h.prefix + "\x00" + name + ".", lines: h.lines}
}

// lines are the lines of the last minute.
type lines struct {
	seed maphash.Seed
	now  func() time.Time

	mu     sync.Mutex
	byHash map[uint64]line
}

type line struct {
	written time.Time
	left    int // lines that were left out since
}

// count counts a line and reports whether to write it, and how many equal ones
// were left out before it.
func (l *lines) count(text string) (left int, write bool) {
	key := maphash.String(l.seed, text)
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	known, ok := l.byHash[key]
	if ok && now.Sub(known.written) < interval {
		known.left++
		l.byHash[key] = known
		return 0, false
	}
	if len(l.byHash) >= maxLines {
		l.forget(now)
	}
	l.byHash[key] = line{written: now}
	return known.left, true
}

// forget drops the lines that may be written again; all if there are none.
func (l *lines) forget(now time.Time) {
	for key, known := range l.byHash {
		if now.Sub(known.written) >= interval {
			delete(l.byHash, key)
		}
	}
	if len(l.byHash) >= maxLines {
		clear(l.byHash)
	}
}
