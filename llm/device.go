package llm

import (
	"fmt"

	"github.com/gomlx/compute"
	_ "github.com/gomlx/compute/gobackend" // the backend called "go"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// backendConfig: the Go backend can deadlock on few cores when it runs the
// operations of a graph side by side.
const backendConfig = "go:ops_sequential"

// device keeps the compiled graphs of a model and its weights as tensors. It
// belongs to one model and lives in this process's memory alone, which is
// freed with the model.
type device struct {
	backend compute.Backend
	tensors map[*param]*tensors.Tensor
	graphs  map[string]*graph.Exec
}

func (m *Model) open() (*device, error) {
	if m.device != nil {
		return m.device, nil
	}
	b, err := compute.NewWithConfig(backendConfig)
	if err != nil {
		return nil, fmt.Errorf("open compute backend: %w", err)
	}
	m.device = &device{backend: b, tensors: map[*param]*tensors.Tensor{}, graphs: map[string]*graph.Exec{}}
	return m.device, nil
}

// graph is the graph of that name, built by fn for every new shape of its
// inputs. What is compiled is kept for later calls.
func (d *device) graph(name string, fn func(in []*graph.Node) []*graph.Node) (*graph.Exec, error) {
	if g, ok := d.graphs[name]; ok {
		return g, nil
	}
	g, err := graph.NewExec(d.backend, fn)
	if err != nil {
		return nil, fmt.Errorf("graph %s: %w", name, err)
	}
	g.SetMaxCache(-1)
	d.graphs[name] = g
	return g, nil
}

// setAdapter replaces the adapter; graphs that knew the old one are dropped.
func (m *Model) setAdapter(a *adapter) error {
	old := m.lora
	m.lora = a
	if m.device == nil {
		return nil
	}
	for _, g := range m.device.graphs {
		g.Finalize()
	}
	clear(m.device.graphs)
	if old == nil {
		return nil
	}
	return m.device.changed(old.params)
}

// tensor is a weight on the device. It is put there at once, since two graphs
// that run side by side must not both do it.
func (d *device) tensor(p *param) (*tensors.Tensor, error) {
	if t, ok := d.tensors[p]; ok {
		return t, nil
	}
	t := tensors.FromFlatDataAndDimensions(p.data, p.shape...)
	if err := t.MaterializeOnDevice(d.backend, false, 0); err != nil {
		return nil, fmt.Errorf("weight %s: %w", p.name, err)
	}
	d.tensors[p] = t
	return t, nil
}

// inputs appends the weights to the other inputs of a graph.
func (d *device) inputs(args []any, params []*param) ([]any, error) {
	for _, p := range params {
		t, err := d.tensor(p)
		if err != nil {
			return nil, err
		}
		args = append(args, t)
	}
	return args, nil
}

// changed drops the tensors of weights that got new values.
func (d *device) changed(params []*param) error {
	for _, p := range params {
		if t, ok := d.tensors[p]; ok {
			delete(d.tensors, p)
			if err := t.FinalizeAll(); err != nil {
				return err
			}
		}
	}
	return nil
}

// all lists the base weights and the adapter's.
func (m *Model) all() []*param {
	if m.lora == nil {
		return m.params
	}
	return append(append([]*param(nil), m.params...), m.lora.params...)
}
