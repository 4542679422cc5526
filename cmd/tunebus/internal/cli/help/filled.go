package help

import "strings"

// filled is a text whose paragraphs fill the width of help. Lines that begin with a space keep
// their form: they are lists and commands.
func filled(text string) string {
	var out []string
	var paragraph []string
	end := func() {
		line := ""
		for _, word := range paragraph {
			if line != "" && len([]rune(line))+1+len([]rune(word)) > columns {
				out, line = append(out, line), ""
			}
			line = strings.TrimPrefix(line+" "+word, " ")
		}
		if line != "" {
			out = append(out, line)
		}
		paragraph = nil
	}
	for line := range strings.SplitSeq(text, "\n") {
		if line == "" || line[0] == ' ' || line[0] == '\t' {
			end()
			out = append(out, line)
			continue
		}
		paragraph = append(paragraph, strings.Fields(line)...)
	}
	end()
	return strings.Join(out, "\n")
}
