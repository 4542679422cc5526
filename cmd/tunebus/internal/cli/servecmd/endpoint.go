package servecmd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/pipeline/shellquote"
)

// endpoint is where clients connect, and the key that they need.
type endpoint struct {
	listener net.Listener
	key      string
	keyFile  string // that has the key; empty: it is from the settings
}

// keyVariable is the variable of the settings that has the key.
const keyVariable = "TUNEBUS_CREDENTIALS_SERVE_KEY"

// shortKey is the shortest key that other machines may be kept out by.
const shortKey = 16

// open finds the key and listens, before a model is read: what is wrong with either is
// known at once.
func (f *serveFlags) open(ctx context.Context, settingsKey string) (endpoint, error) {
	e := endpoint{key: settingsKey}
	if f.keyFile != "" {
		body, err := os.ReadFile(f.keyFile)
		if err != nil {
			return e, exit.Input(fmt.Errorf("--api-key-file: %w", err))
		}
		if e.key, e.keyFile = strings.TrimSpace(string(body)), f.keyFile; e.key == "" {
			return e, exit.Input(fmt.Errorf("--api-key-file %s: the file is empty", f.keyFile))
		}
	}
	if strings.ContainsFunc(e.key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return e, exit.Input(errors.New("the API key has a character that no header can send; want letters, digits and signs, in one line and without spaces"))
	}
	address, err := new(net.Resolver).LookupHost(ctx, hostOf(f.listen))
	host, _, split := net.SplitHostPort(f.listen)
	if split != nil {
		return e, exit.Input(fmt.Errorf("--listen %s: want an address and a port, such as 127.0.0.1:8000", f.listen))
	}
	if err != nil {
		return e, exit.Input(fmt.Errorf("--listen %s: %w", f.listen, err))
	}
	if !allLoopback(address) {
		switch {
		case e.key == "":
			return e, exit.Input(fmt.Errorf("--listen %s: other machines reach this address, so that clients have to send a key; "+
				"name a file that has one by --api-key-file, such as one that `openssl rand -hex 32` wrote, or set %s", f.listen, keyVariable))
		case len(e.key) < shortKey:
			return e, exit.Input(fmt.Errorf("--listen %s: other machines reach this address, and the key has %d characters; want %d or more", f.listen, len(e.key), shortKey))
		}
	}
	e.listener, err = new(net.ListenConfig).Listen(ctx, "tcp", f.listen)
	if err != nil {
		if errors.Is(err, syscall.EADDRINUSE) {
			err = fmt.Errorf("--listen %s: another process listens there; choose another port, or %s for any that is free", f.listen, net.JoinHostPort(host, "0"))
		} else {
			err = fmt.Errorf("--listen %s: %w", f.listen, err)
		}
		return e, exit.Input(err)
	}
	return e, nil
}

// hostOf is the host of an address; of all interfaces, where it has none.
func hostOf(address string) string {
	host, _, _ := net.SplitHostPort(address)
	if host == "" {
		return "0.0.0.0"
	}
	return host
}

// allLoopback reports whether only this machine reaches addresses.
func allLoopback(addresses []string) bool {
	for _, a := range addresses {
		if ip := net.ParseIP(a); ip == nil || !ip.IsLoopback() {
			return false
		}
	}
	return len(addresses) > 0
}

// url is the base address for clients.
func (e endpoint) url() string {
	address := e.listener.Addr().String()
	if tcp, ok := e.listener.Addr().(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		if name, err := os.Hostname(); err == nil {
			address = net.JoinHostPort(name, fmt.Sprint(tcp.Port))
		}
	}
	return "http://" + address + "/v1"
}

// shellKey is what a shell makes the key of in an example; empty: there is no key. said is
// what has to be done for that; empty: nothing.
func (e endpoint) shellKey() (text, said string) {
	file := e.keyFile
	if e.keyFile == "" {
		file, _ = strings.CutPrefix(os.Getenv(keyVariable), "file:")
	}
	switch value := os.Getenv(keyVariable); {
	case e.key == "":
		return "", ""
	case e.keyFile == "" && value != "" && file == value: // the key itself
		return "$" + keyVariable, ""
	case file == "":
		return "$" + keyVariable, "where " + keyVariable + " has the key, credentials.serve_key of the settings"
	}
	// A pipe, such as that of <(…) in a shell, is read only once.
	whole, err := filepath.Abs(file)
	if info, stat := os.Stat(file); err != nil || stat != nil || !info.Mode().IsRegular() {
		return "$KEY", "where KEY has the key that stood in " + file
	}
	return "$(tr -d '[:space:]' < " + shellquote.Word(whole) + ")", "" // as the key was read
}
