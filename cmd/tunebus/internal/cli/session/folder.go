package session

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/layout"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/localup"
	"github.com/tunebus/tunebus/embedded"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/pipeline/settings"
)

// How long a command waits for a data folder that another process has: most have one
// for a moment. A process that has one for longer says so, and is asked.
const (
	folderPatience = 10 * time.Second
	folderPoll     = 50 * time.Millisecond
	announceAfter  = time.Second
)

// FolderInUseError means that another process has a data folder.
type FolderInUseError struct {
	Folder string
	// Owner is the process; the zero value if it is not known.
	Owner localup.Up
	// Do is what to do about it; empty: wait.
	Do string
}

func (e *FolderInUseError) Error() string {
	who := "another process"
	if e.Owner.Data != "" {
		who = e.Owner.String()
	}
	do := e.Do
	if do == "" {
		do = "wait for its end, or choose another folder with --data"
	}
	return fmt.Sprintf("%s works on the data folder %s; %s", who, e.Folder, do)
}

// Unwrap returns [embedded.ErrInUse].
func (e *FolderInUseError) Unwrap() error { return embedded.ErrInUse }

// TakeFolder calls start, which starts a server on a data folder, until no other
// process has it. The error is a [*FolderInUseError] as soon as the other process is known,
// and when it takes too long.
func TakeFolder(ctx context.Context, s *Session, data string, start func() error) error {
	if err := checkWritable(data); err != nil {
		return err
	}
	deadline, said := time.Now().Add(folderPatience), time.Now()
	for {
		err := start()
		if !errors.Is(err, embedded.ErrInUse) {
			return sayFull(data, err)
		}
		owner, known := upOn(localup.Running(), data)
		if known || time.Now().After(deadline) {
			return &FolderInUseError{Folder: data, Owner: owner}
		}
		if time.Since(said) > 2*time.Second {
			said = deadline // once
			s.Console.Say("another process works on the data folder %s; waiting for it", data)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(folderPoll):
		}
	}
}

// checkWritable looks whether the store of a data folder can be written, if it is there. The
// server says less about it, and says it twice.
func checkWritable(data string) error {
	f, err := os.CreateTemp(storeFolder(data), ".writable-*")
	if err == nil {
		return errors.Join(f.Close(), os.Remove(f.Name()))
	}
	path, ok := errors.AsType[*fs.PathError](err)
	if !ok || !errors.Is(err, fs.ErrPermission) && !errors.Is(err, syscall.EROFS) {
		return nil // the server says what it is
	}
	return fmt.Errorf("the data folder %s cannot be written (%w), and its server has to write where runs are only looked at, too; "+
		"copy the folder to a place of your own, and name that with --data", data, path.Err)
}

// sayFull says what to do where there is no space left for a data folder. The server has
// no other word for it than that of the system.
func sayFull(data string, err error) error {
	if err == nil || !strings.Contains(err.Error(), syscall.ENOSPC.Error()) {
		return err
	}
	return fmt.Errorf("the disk of the data folder %s is full: %w; \"tunebus delete\" and \"tunebus gc\" make room there", data, err)
}

// Loopback is the address at which a process that works on a data folder is reached by
// other commands of the same user, and what they have to present; empty where there is
// no loopback interface.
func Loopback(ctx context.Context) (listen, token string) {
	const address = "127.0.0.1:0"
	probe, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return "", ""
	}
	_ = probe.Close()
	return address, rand.Text()
}

// openFolder opens a data folder, or asks the process that has it.
func openFolder(ctx context.Context, s *Session, at Location, cfg settings.Settings) (*Deployment, error) {
	if name := connectionFlag(s.set); name != "" {
		return nil, exit.Input(fmt.Errorf("--%s has no effect: --data %s is a data folder, which needs no server", name, at.Data))
	}
	if !isDataFolder(at.Data) {
		return nil, exit.Input(fmt.Errorf("--data %s: no data folder of run or up", at.Data))
	}
	for {
		var server *embedded.Server
		listen, token := Loopback(ctx)
		err := TakeFolder(ctx, s, at.Data, func() (err error) {
			server, err = embedded.Start(ctx, embedded.Options{Dir: storeFolder(at.Data), Listen: listen, Token: token, Logger: s.Logger()})
			return err
		})
		if used, ok := errors.AsType[*FolderInUseError](err); ok && used.Owner.URL != "" {
			asked, err := ask(ctx, s, at, cfg, used.Owner)
			if _, unreachable := errors.AsType[*conn.UnreachableError](err); unreachable && !localup.IsRunning(used.Owner) {
				continue // it has ended meanwhile
			}
			return asked, err
		}
		if err != nil {
			return nil, err
		}
		return onServer(ctx, s, at, cfg, server, token)
	}
}

// onServer connects to the server that this process started on a data folder.
func onServer(ctx context.Context, s *Session, at Location, cfg settings.Settings, server *embedded.Server, token string) (*Deployment, error) {
	b, err := conn.Connect(ctx, conn.Options{InProcess: server, Name: "cli", Logger: s.Logger(), Wait: 10 * time.Second})
	if err != nil {
		return nil, errors.Join(err, server.Stop())
	}
	out := &Deployment{Bus: b, Settings: cfg, location: at, folder: at.Data, embedded: server, command: s.CommandLine}
	if err := topology.Apply(ctx, b, topology.Topology{Queues: layout.Queues(cfg)}); err != nil {
		return nil, errors.Join(sayFull(at.Data, err), out.close())
	}
	if server.URL() != "" {
		out.holding = announceLater(at.Data, localup.Up{URL: server.URL(), Token: token, Command: s.Command, PID: os.Getpid(), Idle: true})
	}
	return out, nil
}

// ask connects to the process that has a data folder.
func ask(ctx context.Context, s *Session, at Location, cfg settings.Settings, owner localup.Up) (*Deployment, error) {
	b, err := connectTo(ctx, s, owner, time.Second)
	if err != nil {
		return nil, err
	}
	out := &Deployment{Bus: b, Settings: cfg, location: at, folder: at.Data, command: s.CommandLine, owner: owner}
	if !owner.Idle {
		out.location.Data, out.folder = "", ""
	}
	return out, nil
}

// ConnectToServices connects to the services that a process of this machine runs on a
// data folder or, without a folder, to a server. With a limit, one that does not answer at the
// moment is tried for so long.
func ConnectToServices(ctx context.Context, s *Session, data string, limit time.Duration) (*conn.Conn, error) {
	if data == "" && limit <= 0 {
		return s.Connect(ctx) // nothing is lost yet, so the person decides
	}
	if data == "" {
		return connectWithRetries(ctx, s, limit)
	}
	if name := connectionFlag(s.set); name != "" {
		return nil, exit.Input(fmt.Errorf("--%s has no effect: --data %s is a data folder of this machine", name, data))
	}
	up, found := upOn(localup.Running(), data)
	if !found || up.Idle {
		return nil, exit.Input(fmt.Errorf("--data %s: no up or run of this machine works on the folder; \"tunebus up\" starts the services", data))
	}
	return connectTo(ctx, s, up, limit)
}

// UsualServer reports whether nobody said which server to use.
func UsualServer(s *Session) bool {
	cfg, err := s.Settings()
	return err == nil && !s.flags.nameServer(cfg)
}

// FindsFolder reports whether a command works on the usual data folder where no server
// answers.
func FindsFolder(s *Session, cfg settings.Settings) bool {
	return !s.flags.nameServer(cfg) && isDataFolder(cfg.Data.Folder)
}

// connectTo connects to a process of this machine.
func connectTo(ctx context.Context, s *Session, up localup.Up, wait time.Duration) (*conn.Conn, error) {
	log := slog.New(slog.DiscardHandler) // that the process ended is said where it matters
	if s.flags.verbose {
		log = s.Logger()
	}
	if wait <= 0 {
		wait = -1
	}
	return conn.Connect(ctx, conn.Options{URL: up.URL, Token: up.Token, Name: "cli", Logger: log, Wait: wait})
}

// holding is the announcement of a process that has a data folder for longer than a
// moment.
type holding struct {
	stop chan struct{}
	done sync.WaitGroup
}

// announceLater announces the process after a while, until end is called.
func announceLater(data string, up localup.Up) *holding {
	h := &holding{stop: make(chan struct{})}
	h.done.Go(func() {
		select {
		case <-h.stop:
			return
		case <-time.After(announceAfter):
		}
		var err error
		if up.Data, err = filepath.Abs(data); err != nil {
			return
		}
		stop, err := localup.Announce(up.URL, up)
		if err != nil {
			return // others wait for the folder
		}
		<-h.stop
		stop()
	})
	return h
}

func (h *holding) end() {
	close(h.stop)
	h.done.Wait()
}

// errOwnerEnded ends what a command does on a process that has ended meanwhile.
var errOwnerEnded = errors.New("the process that worked on the data folder has ended")

// watchOwner returns a context that ends with [errOwnerEnded] when the process that
// the command asks has ended. stop has to be called.
func (s *Deployment) watchOwner(ctx context.Context) (watched context.Context, stop func()) {
	if s.owner.Data == "" {
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(4 * folderPoll)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if !s.Bus.Connected() && !localup.IsRunning(s.owner) {
				cancel(errOwnerEnded)
				return
			}
		}
	})
	return ctx, func() {
		cancel(nil)
		done.Wait()
	}
}

// upOn finds the process that works on a data folder.
func upOn(ups []localup.Up, folder string) (up localup.Up, found bool) {
	dir, err := filepath.Abs(folder)
	if err != nil || folder == "" {
		return up, false
	}
	for _, u := range ups {
		if u.Data == dir || sameFolder(u.Data, dir) {
			return u, true
		}
	}
	return up, false
}

// sameFolder reports whether two paths lead to one folder.
func sameFolder(a, b string) bool {
	first, err := os.Stat(a)
	if err != nil {
		return false
	}
	second, err := os.Stat(b)
	return err == nil && os.SameFile(first, second)
}
