// Package session is what commands share: the flags that every command has, the
// settings, the log, and the way to a server and its artifact store.
//
// A command is made with a [Session] and reaches the outside through it. Its
// action is one of two kinds, by what it needs:
//
//	func NewCount(s *session.Session) *cobra.Command {
//		var at session.Location
//		return &cobra.Command{
//			RunE: s.WithDeployment(&at, func(ctx context.Context, server *session.Deployment, args []string) error { ... }),
//			// or
//			RunE: s.WithStore(&at, func(ctx context.Context, server *session.Deployment, store *artifact.Store) error { ... }),
//		}
//	}
//
// Each closes what it opened when the action returns. WithDeployment opens the
// artifact store only when the action asks for it. The example of [Session] is a
// whole command.
package session
