package llm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
)

// measured is a training whose memory a process of its own measures. It gets it by a
// variable.
type measured struct {
	Dir, Size, DType string
	Bits             int
	Full, DoRA       bool
	Answers          bool // nothing is trained
	Rows, Tokens     int
	Train            TrainConfig
}

const measuredVariable = "TUNEBUS_LLM_TEST_MEMORY"

func (m measured) String() string {
	how := m.DType
	if m.Bits > 0 {
		how = fmt.Sprintf("%d bits", m.Bits)
	}
	switch {
	case m.Full:
		how += ", all weights"
	case m.DoRA:
		how += ", DoRA"
	case m.Answers:
		how += ", answers"
	}
	if m.Train.Optimizer != "" {
		how += ", " + m.Train.Optimizer
	}
	if m.Train.GradientCheckpointing {
		how += ", checkpointing"
	}
	return fmt.Sprintf("%s, %s, %d x %d", m.Size, how, m.Rows, m.Tokens)
}

// rows are as many as two batches, the second one with longer rows.
func (m measured) rows() (rows InMemory) {
	for i := range 2 * m.Rows {
		row := Example{IDs: make([]int32, m.Tokens), Count: slices.Repeat([]bool{true}, m.Tokens)}
		if i%2 == 1 {
			row.IDs = row.IDs[:m.Tokens*2/3]
		}
		for j := range row.IDs {
			row.IDs[j] = int32(1 + (i*31+j*17)%1000)
		}
		rows = append(rows, row)
	}
	return rows
}

func (m measured) plan() Plan {
	rows := m.rows()
	p := Plan{Dir: m.Dir, Bits: m.Bits, Full: m.Full, LoRA: LoRAConfig{Rank: 16, Alpha: 16, Seed: 1, DoRA: m.DoRA, Dropout: 0.1}, Train: m.Train, Training: rows}
	p.Train.BatchSize, p.Train.LearningRate, p.Train.MaxGradNorm = m.Rows, 1e-5, 1
	if m.Train.KeepBest {
		p.Validation = rows[:m.Rows]
	}
	return p
}

// memory is what the memory of this process was at most, and is now, in bytes.
func memory() (most, now int64) {
	body, err := os.ReadFile("/proc/self/status")
	if err != nil {
		panic(err)
	}
	for line := range bytes.Lines(body) {
		for name, to := range map[string]*int64{"VmHWM:": &most, "VmRSS:": &now} {
			if rest, ok := bytes.CutPrefix(line, []byte(name)); ok {
				n, _ := strconv.ParseInt(string(bytes.Fields(rest)[0]), 10, 64)
				*to = n << 10
			}
		}
	}
	return most, now
}

// TestMeasuredProcess is the process of its own of a measurement. It trains, and prints
// what was estimated before and what it took.
func TestMeasuredProcess(t *testing.T) {
	body := os.Getenv(measuredVariable)
	if body == "" {
		return // the others start it
	}
	var m measured
	if err := errors.Join(json.Unmarshal([]byte(body), &m), m.measure(t.Context())); err != nil {
		t.Fatal(err)
	}
}

func (m measured) measure(ctx context.Context) error {
	if m.Answers {
		return m.answer(ctx)
	}
	p := m.plan()
	_, before := memory()
	said, err := p.Memory()
	if err != nil {
		return err
	}
	model, err := OpenQuantised(m.Dir, m.Bits)
	if err == nil && !m.Full {
		err = model.AttachLoRA(p.LoRA)
	}
	if err != nil {
		return err
	}
	if _, err := model.Train(ctx, p.Training, p.Validation, p.Train, Hooks{}, ""); err != nil {
		return err
	}
	most, _ := memory()
	return json.NewEncoder(os.Stdout).Encode(outcome{before, most, said})
}

// answer has all rows answered at once, half of each a prompt.
func (m measured) answer(ctx context.Context) error {
	_, before := memory()
	said, err := Answering{Dir: m.Dir, Bits: m.Bits}.Memory(m.Rows, m.Rows*m.Tokens)
	if err != nil {
		return err
	}
	model, err := OpenQuantised(m.Dir, m.Bits)
	if err != nil {
		return err
	}
	var prompts [][]int32
	for i := range m.Rows {
		prompts = append(prompts, slices.Repeat([]int32{int32(2 + i)}, m.Tokens/2))
	}
	cfg := GenerateConfig{MaxNewTokens: m.Tokens / 2, BatchSize: m.Rows}
	if err := model.Generate(ctx, prompts, cfg, func(int, []int32) error { return nil }); err != nil {
		return err
	}
	most, _ := memory()
	return json.NewEncoder(os.Stdout).Encode(outcome{before, most, said})
}

// outcome is what a process of its own found.
type outcome struct {
	Before, Peak int64
	Said         Memory
}

func (o outcome) estimated() int64 { return o.Before + o.Said.Sum() }

// off is by how much the estimate is too high, as a share of what was measured.
func (o outcome) off() float64 { return float64(o.estimated())/float64(o.Peak) - 1 }

// inProcess measures in a process of its own.
func (m measured) inProcess(tb testing.TB) (o outcome) {
	tb.Helper()
	body, err := json.Marshal(m)
	if err != nil {
		tb.Fatal(err)
	}
	c := exec.CommandContext(tb.Context(), os.Args[0], "-test.run=^TestMeasuredProcess$")
	c.Env = append(os.Environ(), measuredVariable+"="+string(body))
	out, err := c.Output()
	line, _, _ := bytes.Cut(out, []byte("\n"))
	if err := errors.Join(err, json.Unmarshal(line, &o)); err != nil {
		tb.Fatalf("%s: %v: %s", m, err, out)
	}
	const megabyte = 1e6
	tb.Logf("%-55s estimated %6.0f MB, measured %6.0f MB: %+.1f %% (weights %.1f, gradients %.1f, optimizer %.1f, activations %.1f, other %.1f; before %.1f)", m,
		float64(o.estimated())/megabyte, float64(o.Peak)/megabyte, 100*o.off(), float64(o.Said.Weights)/megabyte, float64(o.Said.Gradients)/megabyte,
		float64(o.Said.Optimizer)/megabyte, float64(o.Said.Activations)/megabyte, float64(o.Said.Other)/megabyte, float64(o.Before)/megabyte)
	return o
}

// checkpoints are made-up models by their size and type.
type checkpoints struct {
	dir  string
	made map[string]bool
}

func (c *checkpoints) of(tb testing.TB, size, dtype string) string {
	tb.Helper()
	dir := filepath.Join(c.dir, size+"-"+dtype)
	if !c.made[dir] {
		if err := madeUpModel(tb, size, dtype).Save(dir, dtype); err != nil {
			tb.Fatal(err)
		}
		c.made[dir] = true
	}
	return dir
}

// measuredTypes are trainings on bases of all types, and answers, and measuredMethods the
// other ways to train that are measured.
func measuredTypes(size string) []measured {
	checkpointing := TrainConfig{GradientCheckpointing: true}
	return []measured{
		short(size, measured{DType: "float32"}), short(size, measured{}), short(size, measured{Bits: 8}), short(size, measured{Bits: 4}),
		short(size, measured{Bits: 4, Train: checkpointing}), short(size, measured{Full: true}),
		long(size, measured{Bits: 4, Train: checkpointing}), short(size, measured{Answers: true}), short(size, measured{Answers: true, DType: "float32"}),
	}
}

func measuredMethods(size string) []measured {
	with := func(optimizer string) TrainConfig { return TrainConfig{Optimizer: optimizer} }
	checkpointing := TrainConfig{GradientCheckpointing: true}
	return []measured{
		short(size, measured{DoRA: true, Bits: 4}), short(size, measured{Train: checkpointing}),
		short(size, measured{Full: true, DType: "float32", Train: TrainConfig{KeepBest: true}}), short(size, measured{Full: true, Train: with("adafactor")}),
		short(size, measured{Full: true, Train: with("adamw_8bit")}), short(size, measured{Full: true, Train: with("sgd")}),
		long(size, measured{}), long(size, measured{Full: true, Train: checkpointing}), short(size, measured{Answers: true, Bits: 4}),
	}
}

// short are two batches of eight rows.
func short(size string, m measured) measured {
	m.Size, m.Rows, m.Tokens = size, 8, 128
	if m.DType == "" {
		m.DType = "bfloat16"
	}
	return m
}

// long are two batches of one row.
func long(size string, m measured) measured {
	m = short(size, m)
	m.Rows, m.Tokens = 1, 2048
	return m
}

// TestEstimate: what a training, or answering, is said to take before anything of it is
// read is what it takes at most.
func TestEstimate(t *testing.T) {
	t.Parallel()
	made := &checkpoints{t.TempDir(), map[string]bool{}}
	for _, m := range slices.Concat(measuredTypes("1M"), measuredMethods("1M"), measuredTypes("10M")) {
		m.Dir = made.of(t, m.Size, m.DType)
		if off := m.inProcess(t).off(); math.Abs(off) > 0.15 {
			t.Errorf("%s: the estimate is off by %+.1f %%", m, 100*off)
		}
	}
}

// BenchmarkEstimate measures all ways to train larger models.
func BenchmarkEstimate(b *testing.B) {
	made := &checkpoints{b.TempDir(), map[string]bool{}}
	for _, size := range []string{"10M", "135M"} {
		for _, m := range slices.Concat(measuredTypes(size), measuredMethods(size)) {
			b.Run(m.String(), func(b *testing.B) {
				m.Dir = made.of(b, m.Size, m.DType)
				for b.Loop() {
					o := m.inProcess(b)
					const megabyte = 1e6
					b.ReportMetric(float64(o.estimated())/megabyte, "MB-estimated")
					b.ReportMetric(float64(o.Peak)/megabyte, "MB")
				}
			})
		}
	}
}
