package llm_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/tunebus/tunebus/llm"
)

// used is the processor time and the peak memory of this process.
func used(b *testing.B) (seconds, megabytes float64) {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	of := func(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }
	return of(u.Utime) + of(u.Stime), float64(u.Maxrss) / 1024
}

// BenchmarkBesideTorch is the side of tunebus of testdata/beside_torch.py, which sets
// the variables and reads the line that it prints.
func BenchmarkBesideTorch(b *testing.B) {
	folder := os.Getenv("SPEED_FOLDER")
	if folder == "" {
		b.Skip("make bench-torch runs it")
	}
	body, err := os.ReadFile(filepath.Join(folder, "ids.json"))
	if err != nil {
		b.Fatal(err)
	}
	var ids [][]int32
	if err := json.Unmarshal(body, &ids); err != nil {
		b.Fatal(err)
	}
	m, err := llm.Open(filepath.Join(folder, "model"))
	if err != nil {
		b.Fatal(err)
	}
	measured := map[string]any{"tokens": len(ids) * len(ids[0])}
	var walls, cpus []float64
	began := time.Now()
	spent, _ := used(b)
	lap := func() {
		now, _ := used(b)
		walls, cpus = append(walls, time.Since(began).Seconds()), append(cpus, now-spent)
		began, spent = time.Now(), now
	}
	if n, _ := strconv.Atoi(os.Getenv("SPEED_NEW_TOKENS")); n > 0 {
		measured["tokens"] = len(ids) * n
		for range 3 {
			answers := generate(b, m, ids, llm.GenerateConfig{MaxNewTokens: n, BatchSize: len(ids)})
			measured["answer"] = answers[0][:4]
			lap()
		}
	} else {
		if os.Getenv("SPEED_ADAPTER") != "" {
			if err := m.LoadAdapter(filepath.Join(folder, "adapter")); err != nil {
				b.Fatal(err)
			}
		}
		steps, err := strconv.Atoi(os.Getenv("SPEED_STEPS"))
		if err != nil {
			b.Fatal(err)
		}
		var rows llm.InMemory
		for _, row := range ids {
			rows = append(rows, llm.Example{IDs: row, Count: slices.Repeat([]bool{true}, len(row))})
		}
		var losses []float64
		cfg := llm.TrainConfig{Epochs: steps, BatchSize: len(ids), LearningRate: 1e-3, Scheduler: "constant", MaxGradNorm: 1}
		if _, err := m.Train(b.Context(), rows, nil, cfg, llm.Hooks{OnStep: func(i llm.StepInfo) {
			losses = append(losses, i.Loss)
			lap()
		}}, ""); err != nil {
			b.Fatal(err)
		}
		measured["losses"] = losses
		walls, cpus = walls[1:], cpus[1:]
	}
	slices.Sort(walls)
	slices.Sort(cpus)
	measured["wall"], measured["cpu"] = walls[len(walls)/2], cpus[len(cpus)/2]
	_, measured["peak"] = used(b)
	line, err := json.Marshal(measured)
	if err != nil {
		b.Fatal(err)
	}
	fmt.Printf("\nmeasured %s\n", line)
}
