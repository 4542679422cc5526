package reader

import (
	"bytes"
	"errors"
	"fmt"
)

// csvParser splits a row into cells as Python's csv and pandas do: a quote begins a
// quoted cell only at the start of the cell, two quotes in there are one, and what
// follows the closing quote belongs to the cell. encoding/csv reads other texts
// out of such rows, and does not tell "" from an empty cell.
type csvParser struct {
	delimiter byte
	cells     []cell
	scratch   []byte // the text of cells in quotes
}

// maxCells limits the cells of a row.
const maxCells = 1 << 20

// cell is valid until the next call of parse.
type cell struct {
	text   []byte
	quoted bool
}

// errIncomplete means that the text ends in the row.
var errIncomplete = errors.New("the row is not complete")

// csvFault is a fault at a place of the text.
type csvFault struct {
	at      int
	problem string
}

// Error implements error.
func (e *csvFault) Error() string { return e.problem }

// parse splits the row at the start of text. size includes the line feed; it is 0 if
// the text is empty and final. Unless final, more text may follow.
func (p *csvParser) parse(text []byte, final bool) (cells []cell, size int, err error) {
	if len(text) == 0 && final {
		return nil, 0, nil
	}
	p.cells, p.scratch = p.cells[:0], p.scratch[:0]
	at := 0
	for {
		c, end, err := p.cell(text, at, final)
		if err != nil {
			return nil, 0, err
		}
		if p.cells = append(p.cells, c); len(p.cells) > maxCells {
			return nil, 0, &csvFault{at: at, problem: fmt.Sprintf("the row has more than %d cells", maxCells)}
		}
		switch {
		case end == len(text):
			if !final {
				return nil, 0, errIncomplete
			}
			return p.cells, end, nil
		case text[end] == p.delimiter:
			at = end + 1
		case text[end] == '\n':
			return p.cells, end + 1, nil
		case end+1 < len(text) && text[end+1] == '\n': // behind \r
			return p.cells, end + 2, nil
		case end+1 == len(text) && !final:
			return nil, 0, errIncomplete
		default:
			return p.cells, end + 1, nil
		}
	}
}

// cell reads the cell at a position, to the delimiter or the end of the line.
func (p *csvParser) cell(text []byte, at int, final bool) (c cell, end int, err error) {
	if at >= len(text) || text[at] != '"' {
		end = p.plain(text, at)
		return cell{text: text[at:end]}, end, nil
	}
	open := at
	base := len(p.scratch)
	for at++; ; {
		quote := bytes.IndexByte(text[at:], '"')
		if quote < 0 {
			if !final {
				return c, 0, errIncomplete
			}
			return c, 0, &csvFault{at: open, problem: "the double quote that begins a cell here is closed nowhere"}
		}
		p.scratch = append(p.scratch, text[at:at+quote]...)
		at += quote + 1
		if at == len(text) && !final {
			return c, 0, errIncomplete
		}
		if at == len(text) || text[at] != '"' {
			break
		}
		p.scratch = append(p.scratch, '"')
		at++
	}
	end = p.plain(text, at)
	if end > at && text[at-2] == '\\' && at-2 > open {
		return c, 0, &csvFault{at: at, problem: `\" stands in a cell in quotes; CSV writes a quote in there as ""`}
	}
	p.scratch = append(p.scratch, text[at:end]...)
	return cell{text: p.scratch[base:len(p.scratch):len(p.scratch)], quoted: true}, end, nil
}

// plain returns the position of the next delimiter or end of the line.
func (p *csvParser) plain(text []byte, at int) int {
	for ; at < len(text); at++ {
		if b := text[at]; b == p.delimiter || b == '\n' || b == '\r' {
			break
		}
	}
	return at
}

// countLines counts the ends of lines: \n, \r\n, and \r.
func countLines(text []byte) int {
	n := bytes.Count(text, []byte("\n"))
	if bytes.IndexByte(text, '\r') >= 0 {
		n += bytes.Count(text, []byte("\r")) - bytes.Count(text, []byte("\r\n"))
	}
	return n
}
