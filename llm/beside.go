package llm

import "slices"

// WithAdapter returns a model that has the weights of another one, which it shares, and
// an adapter of a folder in the place of the other's. The other stays as it is. Neither
// may be trained or merged while both are used.
func WithAdapter(base *Model, dir string) (*Model, error) {
	m := &Model{cfg: base.cfg, file: base.file, byName: map[string]*param{}}
	for _, p := range base.params {
		own := *p
		if len(p.shape) == 1 { // a bias or a norm, which an adapter may replace
			own.data = slices.Clone(p.data)
		}
		m.params = append(m.params, &own)
		m.byName[own.name] = &own
	}
	if err := m.LoadAdapter(dir); err != nil {
		return nil, err
	}
	return m, nil
}
