package child

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/pipeline/redaction"
)

// secrets are those of the worker and those that the trainer was given.
func (c Config) secrets(given []string) *redaction.Secrets {
	return redaction.New(slices.Concat(c.Secrets, redaction.OfVariables(c.Environ), redaction.OfVariables(given))...)
}

// withoutSecrets returns a message whose texts for people have no secrets. Paths stay as
// they are.
func withoutSecrets(m Message, s *redaction.Secrets) Message {
	switch m := m.(type) {
	case Hello:
		m.Name, m.Version = s.Hide(m.Name), s.Hide(m.Version)
		versions := map[string]string{}
		for name, version := range m.Versions {
			versions[s.Hide(name)] = s.Hide(version)
		}
		if m.Versions != nil {
			m.Versions = versions
		}
		return m
	case Progress:
		for _, name := range slices.Collect(maps.Keys(m.Points)) {
			if hidden := s.Hide(name); hidden != name {
				m.Points[hidden] = m.Points[name]
				delete(m.Points, name)
			}
		}
		return m
	case Note:
		m.Text = oneLine(s.Hide(m.Text))
		return m
	case Error:
		m.Text, m.Key = s.Hide(m.Text), s.Hide(m.Key)
		return m
	case Unknown:
		m.Type = s.Hide(m.Type)
		return m
	case Fault:
		if text := m.Err.Error(); s.Hide(text) != text {
			m.Err = errors.New(s.Hide(text))
		}
		return m
	}
	return m
}

// oneLine joins the lines of a text: a further line would look like one of tunebus.
func oneLine(text string) string {
	lines := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune("\n\r\v\f\u0085\u2028\u2029", r) })
	for i, line := range lines {
		lines[i] = strings.TrimSpace(line)
	}
	return strings.Join(lines, " ")
}
