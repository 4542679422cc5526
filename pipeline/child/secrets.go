package child

import (
	"io"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/redaction"
)

// secrets are those of the worker and those that the trainer was given.
func (c Config) secrets(given []string) *redaction.Secrets {
	return redaction.New(slices.Concat(c.Secrets, redaction.OfVariables(c.Environ), redaction.OfVariables(given))...)
}

// TellsSecret reports whether a secret of the worker, or one that the trainer was given,
// stands in what a reader has, such as a file that the trainer wrote.
func (t *Trainer) TellsSecret(r io.Reader) (bool, error) { return t.secrets.Found(r) }

// withoutSecrets returns a message whose texts for people have no secrets, and are no
// longer than they may be. Paths stay as they are.
func withoutSecrets(m Message, s *redaction.Secrets) Message {
	switch m := m.(type) {
	case Hello:
		m.Description = m.Description.withoutSecrets(s)
		return m
	case Progress:
		m.Points = redaction.Names(m.Points, s)
		return m
	case Note:
		m.Text = cut(oneLine(s.Hide(m.Text)))
		return m
	case Result:
		m.Statistics, m.Artifacts = redaction.Names(m.Statistics, s), redaction.Names(m.Artifacts, s)
		return m
	case Error:
		m.Text, m.Key = cut(s.Hide(m.Text)), events.Cut(s.Hide(m.Key), events.MaxNameBytes)
		return m
	case Unknown:
		m.Type = events.Cut(s.Hide(m.Type), events.MaxNameBytes)
		return m
	}
	return m
}

// withoutSecrets returns the description without secrets.
func (d Description) withoutSecrets(s *redaction.Secrets) Description {
	d.Name, d.Version = s.Hide(d.Name), s.Hide(d.Version)
	d.Versions = redaction.Names(d.Versions, s)
	for name, version := range d.Versions {
		d.Versions[name] = s.Hide(version)
	}
	for _, list := range []*[]string{&d.Devices, &d.Methods, &d.Keys, &d.Optimizers, &d.Schedulers, &d.Quantisation, &d.Kinds} {
		*list = slices.Clone(*list) // nil stays nil
		for i, text := range *list {
			(*list)[i] = s.Hide(text)
		}
	}
	return d
}

// oneLine joins the lines of a text: a further line would look like one of tunebus.
func oneLine(text string) string {
	lines := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune("\n\r\v\f\u0085\u2028\u2029", r) })
	for i, line := range lines {
		lines[i] = strings.TrimSpace(line)
	}
	return strings.Join(lines, " ")
}
