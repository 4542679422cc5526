package e2e_test

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/processes"
)

var (
	largeRows  = flag.Int("rows", 20_000, "rows of BenchmarkLargeData, about a thousand bytes each")
	largeBytes = flag.Int64("weights", 64<<20, "bytes of the base model of BenchmarkLargeModel")
)

// largeRun is a specification that trains on train.jsonl.
const largeRun = `[fine_tuner]
base_model_id = %q
training_data_id = "train.jsonl"
max_sequence_length = 1024
device_train_batch_size = 1
grad_accumulation = 1
rank = 1
target_modules = ["q_proj"]
epochs = 1
save_steps = 0
[pipeline]
enable_inference = false
enable_evaluation = false
`

// BenchmarkLargeData has a run prepare rows of messages, and reports the most memory
// that it had resident until its first training step, the same with a hundred rows,
// and the rows per second. "make bench-memory" takes a million rows.
func BenchmarkLargeData(b *testing.B) {
	for b.Loop() {
		few, _ := prepareRows(b, 100)
		many, took := prepareRows(b, *largeRows)
		b.ReportMetric(float64(few)/1024, "MiB-with-100-rows")
		b.ReportMetric(float64(many)/1024, "MiB")
		b.ReportMetric(float64(many-few)/1024, "MiB-more")
		b.ReportMetric(float64(*largeRows)/took.Seconds(), "rows/s")
	}
}

var (
	started   = regexp.MustCompile(`finetune +started`)
	preparing = regexp.MustCompile(`prepares rows (\d+)/(\d+)`)
	firstStep = regexp.MustCompile(`finetune +1/\d+`)
)

// prepareRows starts a run and ends it at its first step. It returns the peak of its
// resident memory in KiB, and how long the preparation took.
func prepareRows(b *testing.B, rows int) (peak int, took time.Duration) {
	b.Helper()
	dir := b.TempDir()
	size := writeRows(b, filepath.Join(dir, "train.jsonl"), rows)
	base := filepath.Join(processes.Root(), "configs", "quickstart", "base-model")
	writeFile(b, filepath.Join(dir, "run.toml"), fmt.Appendf(nil, largeRun, base))
	p := programs.Start(b, dir, "tunebus", nil, "run", "--config", "run.toml", "--relaxed-sync")
	waitFor := func(what string, line *regexp.Regexp) {
		processes.Eventually(b, 2*time.Hour, what, func() error {
			if p.Ended() {
				b.Fatalf("the run ended:\n%s", p.Log)
			}
			if !line.MatchString(p.Log.String()) {
				return errors.New("not yet")
			}
			return nil
		})
	}
	waitFor("the start", started)
	began := time.Now()
	waitFor("the first step", firstStep)
	took = time.Since(began)
	peak = resident(b, p, "VmHWM")
	reports := len(preparing.FindAllString(p.Log.String(), -1))
	p.Kill(b)
	b.Logf("%d rows, %d MB: %s, %d reports of progress, at most %d MiB resident", rows, size/1e6, took.Round(time.Second), reports, peak/1024)
	if took > 30*time.Second && reports < 5 {
		b.Errorf("%d reports of progress in %s", reports, took)
	}
	return peak, took
}

// writeRows writes rows of messages of about a thousand bytes each.
func writeRows(b *testing.B, path string, rows int) (size int64) {
	b.Helper()
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	dice := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields("the ferry Alma lands at pier four where old Brandt mends her nets and sells his catch of cod every morning before nine o'clock, unless a storm keeps the harbour of Ambrel closed; then nobody leaves")
	text := func(n int) string {
		chosen := make([]string, n)
		for i := range chosen {
			chosen[i] = words[dice.IntN(len(words))]
		}
		return strings.Join(chosen, " ")
	}
	for i := range rows {
		_, err = fmt.Fprintf(w, `{"messages": [{"role": "system", "content": "You know the harbour."}, {"role": "user", "content": "%d: %s?"}, {"role": "assistant", "content": "%s."}]}`+"\n", i, text(60), text(100))
		if err != nil {
			b.Fatal(err)
		}
	}
	if err := errors.Join(w.Flush(), f.Sync()); err != nil {
		b.Fatal(err)
	}
	size, err = f.Seek(0, io.SeekEnd)
	if err := errors.Join(err, f.Close()); err != nil {
		b.Fatal(err)
	}
	return size
}

func writeFile(b *testing.B, path string, body []byte) {
	b.Helper()
	if err := os.WriteFile(path, body, 0o600); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkLargeModel tunes an adapter of a made-up base model and asks both models.
// It reports what the process wrote, by its own calls and to the disk, and by how much
// the folder grew that holds its data, MLflow's files and its reports. Both have to be
// far below the size of the model. "make bench-memory" takes one of 1 GB.
func BenchmarkLargeModel(b *testing.B) {
	const most = 100e6 // bytes
	for b.Loop() {
		dir := b.TempDir()
		weights := writeLargeModel(b, filepath.Join(dir, "base"), *largeBytes)
		writeFile(b, filepath.Join(dir, "train.jsonl"), []byte(`{"question": "Where is Alma?", "answer": "At pier four."}`+"\n"+`{"question": "Where is Brandt?", "answer": "At sea."}`+"\n"))
		body := strings.ReplaceAll(fmt.Sprintf(largeRun, "base"), "= false", "= true") + "[inferencer]\ntesting_data_id = \"train.jsonl\"\nbaseline = true\nmax_new_tokens = 2\n[evaluator]\nmetrics = [\"exact_match\"]\n"
		writeFile(b, filepath.Join(dir, "run.toml"), []byte(body))
		before := folderSize(b, dir)
		p := programs.Start(b, dir, "tunebus", nil, "run", "--config", "run.toml", "--relaxed-sync", "--tracking-uri", "file:mlruns")
		written, blocks := followWrites(b, p)
		p.Wait(b, time.Minute)
		grown := folderSize(b, dir) - before
		b.ReportMetric(float64(weights)/1e6, "MB-model")
		b.ReportMetric(float64(written)/1e6, "MB-written")
		b.ReportMetric(float64(blocks)/1e6, "MB-to-disk")
		b.ReportMetric(float64(grown)/1e6, "MB-grown")
		if written > most || blocks > most || grown > most {
			b.Errorf("%d bytes were written, %d to the disk, and the folder grew by %d; all have to stay below %d", written, blocks, grown, int64(most))
		}
	}
}

// followWrites waits for the end of a process and returns what Linux last said that it
// had written: bytes in its own calls, and bytes for the disk.
func followWrites(b *testing.B, p *processes.Process) (written, blocks int64) {
	b.Helper()
	processes.Eventually(b, time.Hour, "the end of the run", func() error {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", p.PID()))
		if err == nil {
			for line := range strings.Lines(string(text)) {
				name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
				n, err := strconv.ParseInt(value, 10, 64)
				switch {
				case err != nil:
					return err
				case name == "wchar":
					written = max(written, n)
				case name == "write_bytes":
					blocks = max(blocks, n)
				}
			}
		}
		if !p.Ended() {
			return errors.New("not yet")
		}
		return nil
	})
	if written == 0 {
		b.Fatal("Linux did not say what the process wrote")
	}
	return written, blocks
}

// folderSize adds up the files of a folder; one with several names counts once.
func folderSize(b *testing.B, dir string) (total int64) {
	b.Helper()
	seen := map[uint64]bool{}
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); ok {
			if seen[stat.Ino] {
				return nil
			}
			seen[stat.Ino] = true
		}
		total += info.Size()
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return total
}

// writeLargeModel writes a model of at least so many bytes with the tokenizer of the
// quickstart's, and returns the size of its weights. They are random, but for the norms.
func writeLargeModel(b *testing.B, dir string, size int64) int64 {
	b.Helper()
	const vocabulary, hidden, inner, heads = 1434, 2048, 5632, 32
	const layer = 2 * (4*hidden*hidden + 3*hidden*inner) // bytes
	layers := int((size + layer - 1) / layer)
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(processes.Root(), "configs", "quickstart", "base-model"))); err != nil {
		b.Fatal(err)
	}
	var config map[string]any
	text, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err := errors.Join(err, json.Unmarshal(text, &config)); err != nil {
		b.Fatal(err)
	}
	maps.Copy(config, map[string]any{
		"hidden_size": hidden, "intermediate_size": inner, "num_hidden_layers": layers,
		"num_attention_heads": heads, "num_key_value_heads": heads, "head_dim": hidden / heads,
	})
	text, err = json.Marshal(config)
	if err != nil {
		b.Fatal(err)
	}
	writeFile(b, filepath.Join(dir, "config.json"), text)
	shapes := map[string][]int{"model.embed_tokens.weight": {vocabulary, hidden}, "model.norm.weight": {hidden}}
	for i := range layers {
		for name, shape := range map[string][]int{
			"input_layernorm": {hidden}, "post_attention_layernorm": {hidden},
			"self_attn.q_proj": {hidden, hidden}, "self_attn.k_proj": {hidden, hidden}, "self_attn.v_proj": {hidden, hidden}, "self_attn.o_proj": {hidden, hidden},
			"mlp.gate_proj": {inner, hidden}, "mlp.up_proj": {inner, hidden}, "mlp.down_proj": {hidden, inner},
		} {
			shapes[fmt.Sprintf("model.layers.%d.%s.weight", i, name)] = shape
		}
	}
	return writeWeights(b, filepath.Join(dir, "model.safetensors"), shapes)
}

// writeWeights writes a safetensors file of bfloat16.
func writeWeights(b *testing.B, path string, shapes map[string][]int) (size int64) {
	b.Helper()
	header := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(shapes)) {
		end := size + 2
		for _, n := range shapes[name] {
			end = size + (end-size)*int64(n)
		}
		header[name] = map[string]any{"dtype": "BF16", "shape": shapes[name], "data_offsets": [2]int64{size, end}}
		size = end
	}
	text, err := json.Marshal(header)
	if err != nil {
		b.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	dice := rand.New(rand.NewPCG(3, 4))
	noise, ones := make([]byte, 1<<20), make([]byte, 1<<20)
	for i := 0; i < len(noise); i += 2 {
		binary.LittleEndian.PutUint16(noise[i:], uint16(math.Float32bits(float32(0.02*dice.NormFloat64()))>>16))
		binary.LittleEndian.PutUint16(ones[i:], uint16(math.Float32bits(1)>>16))
	}
	_, err = w.Write(append(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text...))
	for _, name := range slices.Sorted(maps.Keys(shapes)) {
		from, n := noise, 2
		if len(shapes[name]) == 1 {
			from = ones
		}
		for _, m := range shapes[name] {
			n *= m
		}
		for ; n > 0 && err == nil; n -= min(n, len(from)) {
			_, err = w.Write(from[:min(n, len(from))])
		}
	}
	if err := errors.Join(err, w.Flush(), f.Close()); err != nil {
		b.Fatal(err)
	}
	return size
}
