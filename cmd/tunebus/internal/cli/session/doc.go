// Package session is what commands share: the flags that every command has, the
// settings, the log, and the way to a server and its artifact store.
//
// A command is made with a [Session] and reaches the outside through it. Its
// action is one of three kinds, by what it needs:
//
//	RunE: s.WithBus(func(ctx context.Context, b *bus.Bus, args []string) error { ... })
//	RunE: s.WithServer(&at, func(ctx context.Context, server *session.Server, args []string) error { ... })
//	RunE: s.WithStore(&at, func(ctx context.Context, server *session.Server, args []string) error { ... })
//
// Each closes what it opened when the action returns. WithServer opens the
// artifact store only when the action asks for it.
package session
