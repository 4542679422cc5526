package bustest

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
)

// frame is one operation of the client protocol: a line, and the payload of
// those that have one.
type frame struct {
	raw []byte // as it goes over the wire
	// name is the first word of the line in capitals, such as PUB.
	name string
	args []string
	// payload is header and body together, headerLen the length of the header.
	payload   []byte
	headerLen int
}

// readFrame reads one operation. It keeps the bytes as they are.
func readFrame(r *bufio.Reader) (frame, error) {
	line, err := r.ReadBytes('\n')
	if err != nil {
		return frame{}, err
	}
	f := frame{raw: line}
	words := strings.Fields(string(line))
	if len(words) == 0 {
		return f, nil
	}
	f.name, f.args = strings.ToUpper(words[0]), words[1:]
	switch f.name {
	case "PUB", "HPUB", "MSG", "HMSG":
	default:
		return f, nil
	}
	if len(f.args) < 2 {
		return frame{}, fmt.Errorf("protocol: %q", line)
	}
	size, err := strconv.Atoi(f.args[len(f.args)-1])
	if err != nil {
		return frame{}, fmt.Errorf("protocol: %q: %w", line, err)
	}
	if f.name[0] == 'H' {
		if f.headerLen, err = strconv.Atoi(f.args[len(f.args)-2]); err != nil || f.headerLen > size {
			return frame{}, fmt.Errorf("protocol: %q", line)
		}
		f.args = f.args[:len(f.args)-1]
	}
	f.args = f.args[:len(f.args)-1]
	rest := make([]byte, size+len("\r\n"))
	if _, err := io.ReadFull(r, rest); err != nil {
		return frame{}, err
	}
	f.payload = rest[:size]
	f.raw = append(bytes.Clone(line), rest...)
	return f, nil
}

// published is the message of PUB and HPUB.
func (f frame) published() *nats.Msg {
	m := &nats.Msg{Subject: f.args[0], Data: f.payload[f.headerLen:]}
	if len(f.args) > 1 {
		m.Reply = f.args[1]
	}
	if f.headerLen > 0 {
		m.Header, _ = nats.DecodeHeadersMsg(f.payload[:f.headerLen]) // the server refuses one that is malformed
	}
	return m
}

// delivered is the message of MSG and HMSG, and the id of its subscription.
func (f frame) delivered() (m *nats.Msg, subscription string) {
	m = &nats.Msg{Subject: f.args[0]}
	if len(f.args) > 2 {
		m.Reply = f.args[2]
	}
	return m, f.args[1]
}
