// Package storeusers knows which deployments use an artifact store: each data folder and each
// NATS server whose services store their artifacts in it.
//
//	me, err := storeusers.Of(ctx, conn)
//	err = storeusers.Register(ctx, store, me)
//	…
//	others, err := storeusers.Others(ctx, store, me.ID)
//
// The runs of one deployment say nothing about what the runs of another one refer to. So whoever
// removes what no run refers to has to know whether there is another.
//
// A user is an object below users/, whose key says who it is.
package storeusers

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

const (
	// prefix begins the keys of users. A key has parts of partBytes, and maxParts of them.
	prefix    = "users/"
	partBytes = 120
	maxParts  = 3
)

// User is a deployment that uses a store.
type User struct {
	// ID is that of its stream of facts, which no other deployment has.
	ID string `json:"-"`
	// Key is the object that says so.
	Key string `json:"-"`
	// Host is the name of the machine of a data folder, and Folder its path there; both
	// empty: the deployment has a server, whose address is Server.
	Host   string `json:"host,omitempty"`
	Folder string `json:"folder,omitempty"`
	Server string `json:"server,omitempty"`
	// Since is when it was seen first.
	Since time.Time `json:"-"`
}

// String names the user for people.
func (u User) String() string {
	switch {
	case u.Folder != "":
		return fmt.Sprintf("the data folder %s of the machine %s", u.Folder, u.Host)
	case u.Server != "":
		return "the NATS server " + u.Server
	}
	return "the deployment " + u.ID
}

// Store is the part of [artifact.Store] that this package needs.
type Store interface {
	Put(ctx context.Context, key, mediaType string, r io.Reader) (events.Reference, error)
	List(ctx context.Context, prefix string) iter.Seq2[artifact.Object, error]
}

// Of is the user that is at the other end of a connection; who names it is left to the caller.
func Of(ctx context.Context, c *conn.Conn) (User, error) {
	id, err := topology.Deployment(ctx, c)
	return User{ID: id}, err
}

// Register says in a store that a user has artifacts in it.
func Register(ctx context.Context, s Store, u User) error {
	for o, err := range s.List(ctx, prefix+u.ID+"/") {
		if err != nil {
			return fmt.Errorf("who uses the artifact store: %w", err)
		}
		if known, ok := parse(o); ok && known.Host == u.Host && known.Folder == u.Folder && known.Server == u.Server {
			return nil
		}
	}
	text, err := json.Marshal(u)
	if err != nil {
		return err
	}
	for base64.RawURLEncoding.EncodedLen(len(text)) > partBytes*maxParts { // the end of a long path tells most
		u.Host, u.Folder, u.Server = tail(u.Host), tail(u.Folder), tail(u.Server)
		if text, err = json.Marshal(u); err != nil {
			return err
		}
	}
	key := prefix + u.ID
	for encoded := base64.RawURLEncoding.EncodeToString(text); encoded != ""; {
		n := min(partBytes, len(encoded))
		key, encoded = key+"/"+encoded[:n], encoded[n:]
	}
	if _, err := s.Put(ctx, key, "application/json", strings.NewReader(string(text)+"\n")); err != nil && !errors.Is(err, artifact.ErrExists) {
		return fmt.Errorf("who uses the artifact store: %w", err)
	}
	return nil
}

// cutMark begins a path of which only the end is known.
const cutMark = "…"

// tail cuts the beginning of a path off.
func tail(path string) string {
	runes := []rune(strings.TrimPrefix(path, cutMark))
	if len(runes) == 0 {
		return path
	}
	return cutMark + string(runes[len(runes)/4+1:])
}

// Others lists the users of a store but the one with an id. An earlier data folder at the place of
// that one is none. One that is not where it was counts: it may have been moved.
func Others(ctx context.Context, s Store, mine string) ([]User, error) {
	var all []User
	own := map[string]bool{}
	for o, err := range s.List(ctx, prefix) {
		if err != nil {
			return nil, fmt.Errorf("who uses the artifact store: %w", err)
		}
		u, ok := parse(o)
		switch {
		case !ok:
		case u.ID == mine:
			own[u.Host+"\x00"+u.Folder] = u.Folder != ""
		default:
			all = append(all, u)
		}
	}
	return slices.DeleteFunc(all, func(u User) bool { return own[u.Host+"\x00"+u.Folder] }), nil
}

// Host is the name of this machine.
func Host() string {
	host, err := os.Hostname()
	if err != nil {
		return "a machine without a name"
	}
	return host
}

// parse reads the key of a user.
func parse(o artifact.Object) (User, bool) {
	id, encoded, ok := strings.Cut(strings.TrimPrefix(o.Key, prefix), "/")
	text, err := base64.RawURLEncoding.DecodeString(strings.ReplaceAll(encoded, "/", ""))
	if !ok || err != nil {
		return User{}, false
	}
	u := User{ID: id, Key: o.Key, Since: o.ModTime}
	return u, json.Unmarshal(text, &u) == nil
}

// SharedError means that other deployments use a store, too.
type SharedError struct{ Others []User }

func (e *SharedError) Error() string {
	names := make([]string, len(e.Others))
	for i, u := range e.Others {
		names[i] = fmt.Sprintf("%s (its object %s)", u, u.Key)
	}
	return "the artifact store is used by others, too, and what their runs need is not known here: " + strings.Join(names, ", ")
}
