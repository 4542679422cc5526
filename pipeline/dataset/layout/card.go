package layout

import (
	"bytes"
	"fmt"

	"go.yaml.in/yaml/v3"

	"github.com/tunebus/tunebus/pipeline/dataset/source"
)

// CardName is the name of a data set's card.
const CardName = "README.md"

// MaxCard bounds a card in bytes.
const MaxCard = 4 << 20

// cardConfig is an entry of "configs:". The keys are those of the library datasets.
type cardConfig struct {
	Name    string    `yaml:"config_name"`
	Default bool      `yaml:"default"`
	DataDir string    `yaml:"data_dir"`
	Files   dataFiles `yaml:"data_files"`
}

// dataFiles are the patterns of each split, in the order of the card. It is a
// pattern, a list of patterns, a list of a split with its patterns each, or splits
// with their patterns.
type dataFiles []splitPatterns

type splitPatterns struct {
	Split source.Split `yaml:"split"`
	Path  patterns     `yaml:"path"`
}

// patterns is a pattern or a list of them.
type patterns []string

// UnmarshalYAML implements yaml.Unmarshaler.
func (p *patterns) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		*p = patterns{n.Value}
		return nil
	}
	return n.Decode((*[]string)(p))
}

// UnmarshalYAML implements yaml.Unmarshaler.
func (d *dataFiles) UnmarshalYAML(n *yaml.Node) error {
	switch {
	case n.Kind == yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			var p patterns
			if err := n.Content[i+1].Decode(&p); err != nil {
				return err
			}
			*d = append(*d, splitPatterns{Split: source.Split(n.Content[i].Value), Path: p})
		}
		return nil
	case n.Kind == yaml.SequenceNode && len(n.Content) > 0 && n.Content[0].Kind == yaml.MappingNode:
		return n.Decode((*[]splitPatterns)(d))
	}
	var p patterns
	if err := n.Decode(&p); err != nil {
		return err
	}
	*d = dataFiles{{Split: source.Train, Path: p}}
	return nil
}

// parseCard returns the configurations that a card names; none if it names none.
func parseCard(card []byte) ([]cardConfig, error) {
	card = bytes.TrimPrefix(card, []byte("\xef\xbb\xbf"))
	card = bytes.ReplaceAll(card, []byte("\r\n"), []byte("\n"))
	head, ok := bytes.CutPrefix(card, []byte("---\n"))
	if !ok {
		return nil, nil
	}
	head, _, ok = bytes.Cut(head, []byte("\n---"))
	if !ok || len(head) > MaxCard {
		return nil, nil
	}
	var c struct {
		Configs []cardConfig `yaml:"configs"`
	}
	if err := yaml.Unmarshal(head, &c); err != nil {
		return nil, fmt.Errorf("%s: its configs: cannot be read: %w", CardName, err)
	}
	return c.Configs, nil
}
