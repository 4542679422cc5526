package joblog

import (
	"context"
	"log/slog"
	"strings"
)

// Logger returns a logger whose lines are lines of the log as well as of base. The
// attributes that base has are left out of the log: they say whose log it is.
func (l *Log) Logger(base *slog.Logger) *slog.Logger {
	return slog.New(&handler{log: l, base: base.Handler()})
}

// handler writes to the log from level info on, whatever base shows.
type handler struct {
	log    *Log
	base   slog.Handler
	prefix string // the open groups
	attrs  string
}

// Enabled implements [slog.Handler].
func (h *handler) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo || h.base.Enabled(ctx, level)
}

// Handle implements [slog.Handler].
func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelInfo {
		var b strings.Builder
		b.WriteString(r.Message)
		b.WriteString(h.attrs)
		r.Attrs(func(a slog.Attr) bool {
			writeAttr(&b, h.prefix, a)
			return true
		})
		h.log.add(r.Time, levelName(r.Level), b.String())
	}
	if !h.base.Enabled(ctx, r.Level) {
		return nil
	}
	return h.base.Handle(ctx, r)
}

// WithAttrs implements [slog.Handler].
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	var b strings.Builder
	b.WriteString(h.attrs)
	for _, a := range attrs {
		writeAttr(&b, h.prefix, a)
	}
	return &handler{log: h.log, base: h.base.WithAttrs(attrs), prefix: h.prefix, attrs: b.String()}
}

// WithGroup implements [slog.Handler].
func (h *handler) WithGroup(name string) slog.Handler {
	return &handler{log: h.log, base: h.base.WithGroup(name), prefix: h.prefix + name + ".", attrs: h.attrs}
}

// writeAttr writes an attribute behind a message, unless it is empty.
func writeAttr(b *strings.Builder, prefix string, a slog.Attr) {
	value := a.Value.Resolve()
	if a.Equal(slog.Attr{}) || value.Kind() == slog.KindAny && value.Any() == nil {
		return
	}
	b.WriteString(" " + prefix + a.Key + "=")
	text := value.String()
	if strings.ContainsAny(text, " \t") {
		text = `"` + text + `"`
	}
	b.WriteString(text)
}

func levelName(level slog.Level) string {
	switch {
	case level >= slog.LevelError:
		return "error"
	case level >= slog.LevelWarn:
		return "warning"
	}
	return Info
}
