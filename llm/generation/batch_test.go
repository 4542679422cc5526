package generation_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/llm/generation"
	"github.com/tunebus/tunebus/llm/internal/kernel"
	"github.com/tunebus/tunebus/llm/internal/net"
	"github.com/tunebus/tunebus/llm/sampling"
)

// TestMain has all goroutines work on models that are too small for it, and sees that
// none is left behind.
func TestMain(m *testing.M) {
	net.MemberWork = 1
	goleak.VerifyTestMain(m)
}

const vocab = 61

// model is one of random weights, whose layers differ.
func model(t testing.TB) *llm.Model {
	t.Helper()
	window := 70
	m, err := llm.New(llm.Config{
		ModelType: "mistral", VocabSize: vocab, HiddenSize: 24, IntermediateSize: 40, Layers: 2, Heads: 4, KVHeads: 2, HeadDim: 8,
		InitializerRange: 0.3, SlidingWindow: &window,
	}, 3)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// prompts are some that begin alike, within blocks of the cache and over several.
func prompts(n int) (out []generation.Prompt) {
	rng := rand.New(rand.NewPCG(1, 2))
	text := func(n int) []int32 {
		ids := make([]int32, n)
		for i := range ids {
			ids[i] = int32(rng.IntN(vocab))
		}
		return ids
	}
	long, short := text(150), text(30)
	for i := range n {
		p := generation.Prompt{MaxNewTokens: rng.IntN(20) + 1, EOS: []int32{7}, Logprobs: i%3 == 0, TopLogprobs: i % 4}
		switch i % 5 {
		case 0:
			p.IDs = append(slices.Clone(long), text(rng.IntN(40))...)
		case 1:
			p.IDs = append(slices.Clone(short), text(rng.IntN(40))...)
		case 2:
			p.IDs = append(slices.Clone(long[:100]), text(1+rng.IntN(100))...)
		case 3:
			p.IDs = text(1 + rng.IntN(200))
		case 4:
			p.IDs, p.Given = slices.Clone(long[:128]), text(1+rng.IntN(100))
		}
		if i%2 == 0 {
			p.Sampling = sampling.Config{Temperature: 1.5, TopK: i % 7 * 5, TopP: 0.95, MinP: 0.01, RepetitionPenalty: 1 + 0.2*float64(i%3), Seed: 5, Stream: uint64(i)}
		}
		out = append(out, p)
	}
	return out
}

func newBatch(t testing.TB, m *llm.Model, cfg generation.Config) *generation.Batch {
	t.Helper()
	b := llm.NewBatch(m, cfg)
	t.Cleanup(b.Close)
	return b
}

// answer has a batch answer prompts in an order, of which some come later.
func answer(t testing.TB, b *generation.Batch, all []generation.Prompt, order []int) []generation.Answer {
	t.Helper()
	rows := make([]*generation.Row, len(all))
	for n, i := range order {
		row, err := b.Add(all[i])
		if err != nil {
			t.Fatalf("prompt %d: %v", i, err)
		}
		rows[i] = row
		for range n % 4 {
			if _, err := b.Step(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := b.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	out := make([]generation.Answer, len(all))
	for i, row := range rows {
		var err error
		if out[i], err = row.Answer(); err != nil {
			t.Fatalf("prompt %d: %v", i, err)
		}
		out[i].CachedTokens = 0
	}
	return out
}

// TestAnswersAreTheSame bit by bit in every batch: of any size, in any order, with a
// cache that is large, or so small that rows wait for it and beginnings are forgotten, on
// every path of the processor, with any number of threads.
func TestAnswersAreTheSame(t *testing.T) {
	best, threads := kernel.Active(), runtime.GOMAXPROCS(0)
	defer func() {
		runtime.GOMAXPROCS(threads)
		if err := kernel.Use(best.String()); err != nil {
			t.Error(err)
		}
	}()
	all := prompts(30)
	want := make([]generation.Answer, len(all))
	one := model(t)
	for i, p := range all {
		want[i] = answer(t, newBatch(t, one, generation.Config{MaxSequences: 1}), []generation.Prompt{p}, []int{0})[0]
	}
	if same := slices.IndexFunc(want[1:], func(a generation.Answer) bool { return !slices.Equal(a.IDs, want[0].IDs) }); same < 0 {
		t.Fatal("all prompts have the same answer")
	}
	for n, cfg := range []generation.Config{
		{MaxSequences: 1}, {MaxSequences: 3, MaxBatchedTokens: 5}, {MaxSequences: 16, CacheTokens: 400}, {MaxSequences: 5, CacheTokens: 1024, MaxBatchedTokens: 300}, {MaxSequences: 40},
	} {
		order := rand.New(rand.NewPCG(uint64(n), 1)).Perm(len(all))
		paths := kernel.Paths()
		if err := kernel.Use(paths[n%len(paths)].String()); err != nil {
			t.Fatal(err)
		}
		runtime.GOMAXPROCS([]int{1, 2, 5}[n%3])
		b := newBatch(t, model(t), cfg)
		for _, round := range []string{"at first", "again"} {
			for i, got := range answer(t, b, all, order) {
				if !reflect.DeepEqual(got, want[i]) {
					t.Errorf("%+v, %s: prompt %d was answered\n%+v\nalone\n%+v", cfg, round, i, got, want[i])
				}
			}
		}
	}
}

// TestBeginningsAreComputedOnce: of rows that begin alike, the first computes the
// beginning, and the others wait for it; later prompts find it still.
func TestBeginningsAreComputedOnce(t *testing.T) {
	b := newBatch(t, model(t), generation.Config{MaxSequences: 8, CacheTokens: 8 * 192})
	common := make([]int32, 100)
	cached := func() (sum int) {
		var rows []*generation.Row
		for i := range 8 {
			row, err := b.Add(generation.Prompt{IDs: append(slices.Clone(common), int32(i+1), 5, 6), MaxNewTokens: 3})
			if err != nil {
				t.Fatal(err)
			}
			rows = append(rows, row)
		}
		if err := b.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			a, err := row.Answer()
			if err != nil {
				t.Fatal(err)
			}
			sum += a.CachedTokens
		}
		return sum
	}
	if got := cached(); got != 700 {
		t.Errorf("%d tokens of 8 prompts were not computed, want those of 7 beginnings of 100", got)
	}
	if got := cached(); got != 8*102 {
		t.Errorf("%d tokens of the same prompts were not computed, want all but the last of each", got)
	}
	if l := b.Load(); l.CacheTokens != 0 || l.Running != 0 || l.MaxCacheTokens != 8*192 {
		t.Errorf("%+v when all is answered", l)
	}
}

// TestDecodeStepAllocatesNothing, once its rows are there and their blocks.
func TestDecodeStepAllocatesNothing(t *testing.T) {
	b := newBatch(t, model(t), generation.Config{MaxSequences: 4})
	step := func() {
		if _, err := b.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for round := range 2 {
		for i := range 4 {
			p := generation.Prompt{IDs: []int32{1, 2, int32(i)}, MaxNewTokens: 55}
			if i%2 == 0 {
				p.Sampling = sampling.Config{Temperature: 1, TopK: 40 * (i / 2), TopP: 0.9, RepetitionPenalty: 1.1}
			}
			if _, err := b.Add(p); err != nil {
				t.Fatal(err)
			}
		}
		if round == 0 {
			if err := b.Drain(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 5 {
		step()
	}
	if n := testing.AllocsPerRun(40, step); n > 0 {
		t.Errorf("%v allocations a step", n)
	}
}

// spelled decodes each token as a letter; some are of more than one.
func spelled(ids []int32) string {
	var b strings.Builder
	for _, id := range ids {
		b.WriteString([]string{"a", "b", "ab", "ba", "c"}[id%5])
	}
	return b.String()
}

// TestStopTexts end an answer before them, wherever tokens begin and end, and OnToken
// gets nothing of them.
func TestStopTexts(t *testing.T) {
	b := newBatch(t, model(t), generation.Config{Decode: spelled})
	for i, p := range prompts(20) {
		p.Given, p.EOS, p.MaxNewTokens = nil, nil, 40
		var free string
		whole := answer(t, b, []generation.Prompt{p}, []int{0})[0]
		if whole.Text != spelled(whole.IDs) || whole.Finish != generation.Length {
			t.Fatalf("prompt %d: %+v, want the text %q", i, whole, spelled(whole.IDs))
		}
		p.Stop = []string{"", whole.Text[13:17], "never", whole.Text[20:23]}
		p.OnToken = func(t generation.Token) error { free += t.Text; return nil }
		got := answer(t, b, []generation.Prompt{p}, []int{0})[0]
		at := min(strings.Index(whole.Text, p.Stop[1]), strings.Index(whole.Text, p.Stop[3]))
		if got.Text != whole.Text[:at] || free+got.Rest != got.Text || got.Finish != generation.Stopped || !strings.HasPrefix(whole.Text[at:], got.StopText) || got.StopText == "" {
			t.Errorf("prompt %d, stop %q: %+v, in pieces %q, of %q", i, p.Stop, got, free, whole.Text)
		}
		if !slices.Equal(got.IDs, whole.IDs[:len(got.IDs)]) || len(spelled(got.IDs[:len(got.IDs)-1])) >= at+len(got.StopText) {
			t.Errorf("prompt %d: %d tokens to the text %q", i, len(got.IDs), got.Text)
		}
	}
}

// TestPanicsEndRows: a fault of the program ends the rows that it is about, and not the batch.
func TestPanicsEndRows(t *testing.T) {
	m := model(t)
	want := answer(t, newBatch(t, m, generation.Config{}), []generation.Prompt{{IDs: []int32{1, 2}, MaxNewTokens: 3}}, []int{0})[0].IDs
	b := newBatch(t, m, generation.Config{MaxSequences: 1})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	for i := range 3 {
		bad, err := b.Add(generation.Prompt{IDs: []int32{1, 2}, MaxNewTokens: 3, OnToken: func(generation.Token) error { panic("a test's") }})
		if err != nil {
			t.Fatal(err)
		}
		good, err := b.Add(generation.Prompt{IDs: []int32{1, 2}, MaxNewTokens: 3})
		if err != nil {
			t.Fatal(err)
		}
		var fault *generation.PanicError
		if _, err := bad.Answer(); !errors.As(err, &fault) || fault.Value != "a test's" {
			t.Errorf("round %d: %v", i, err)
		}
		if a, err := good.Answer(); err != nil || !slices.Equal(a.IDs, want) {
			t.Errorf("round %d: the row behind it: %+v, %v, want %v", i, a, err, want)
		}
	}
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestGivenAnswers: how likely a given answer is, is what is said of it when it is
// chosen; an answer that is given in part goes on as it would.
func TestGivenAnswers(t *testing.T) {
	b := newBatch(t, model(t), generation.Config{})
	for i, p := range prompts(15) {
		p.Given, p.EOS, p.Logprobs, p.MaxNewTokens = nil, nil, true, 12
		p.Sampling.RepetitionPenalty = 0
		whole := answer(t, b, []generation.Prompt{p}, []int{0})[0]
		sum := 0.0
		for _, c := range whole.Logprobs[0].Top {
			sum += math.Exp(c.Logprob)
		}
		if len(whole.Logprobs) != 12 || len(whole.Logprobs[0].Top) != p.TopLogprobs || sum > 1 {
			t.Fatalf("prompt %d: %+v", i, whole.Logprobs)
		}
		p.Given, p.MaxNewTokens = whole.IDs, 0
		if got := answer(t, b, []generation.Prompt{p}, []int{0})[0]; !reflect.DeepEqual(got, whole) {
			t.Errorf("prompt %d: given %+v, chosen %+v", i, got, whole)
		}
		if p.Sampling.Temperature > 0 {
			continue
		}
		for _, asked := range []bool{true, false} {
			p.Given, p.MaxNewTokens, p.Logprobs = whole.IDs[:5], 7, asked
			got := answer(t, b, []generation.Prompt{p}, []int{0})[0]
			if !slices.Equal(got.IDs, whole.IDs) || asked && !reflect.DeepEqual(got.Logprobs, whole.Logprobs) {
				t.Errorf("prompt %d: given in part %+v, chosen %+v", i, got, whole)
			}
		}
	}
}

// TestRowsLeave when they are cancelled, also those that wait or that others wait for,
// when a callback fails, and when the batch is closed or its context ends.
func TestRowsLeave(t *testing.T) {
	m := model(t)
	b := newBatch(t, m, generation.Config{MaxSequences: 2, MaxBatchedTokens: 8, MaxWaiting: 3})
	long := generation.Prompt{IDs: make([]int32, 200), MaxNewTokens: 5}
	want := answer(t, newBatch(t, m, generation.Config{}), []generation.Prompt{long}, []int{0})[0].IDs
	var rows []*generation.Row
	fault := errors.New("enough")
	for i := range 3 {
		p := long
		if i == 2 {
			p.OnToken = func(generation.Token) error { return fault }
		}
		row, err := b.Add(p)
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
	if _, err := b.Add(long); !errors.Is(err, generation.ErrFull) {
		t.Errorf("a fourth row that waits: %v", err)
	}
	for range 12 {
		if _, err := b.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	rows[0].Cancel() // the second one waits for what it computes
	if err := b.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := rows[0].Answer(); !errors.Is(err, generation.ErrCancelled) || !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled row: %v", err)
	}
	if a, err := rows[1].Answer(); err != nil || !slices.Equal(a.IDs, want) || a.CachedTokens == 0 {
		t.Errorf("the row behind it: %+v, %v, want %v", a, err, want)
	}
	if a, err := rows[2].Answer(); !errors.Is(err, fault) || len(a.IDs) != 1 {
		t.Errorf("a row whose callback fails: %+v, %v", a, err)
	}
	rows = rows[:0]
	for range 3 {
		row, err := b.Add(long)
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
	rows[2].Cancel()
	<-rows[2].Done()
	ctx, cancel := context.WithCancelCause(t.Context())
	ran := make(chan error)
	go func() { ran <- b.Run(ctx) }()
	if a, err := rows[0].Answer(); err != nil || !slices.Equal(a.IDs, want) {
		t.Errorf("%+v, %v", a, err)
	}
	<-rows[1].Done()
	cancel(fault)
	if err := <-ran; !errors.Is(err, fault) {
		t.Errorf("run: %v", err)
	}
	if _, err := b.Add(long); !errors.Is(err, generation.ErrClosed) {
		t.Errorf("a row behind the end: %v", err)
	}
}

// TestPromptsAreChecked before they wait, and what is wrong is said.
func TestPromptsAreChecked(t *testing.T) {
	b := newBatch(t, model(t), generation.Config{CacheTokens: 128})
	for want, p := range map[string]generation.Prompt{
		"no tokens":                    {},
		"61":                           {IDs: []int32{1, vocab}},
		"-1":                           {IDs: []int32{1}, Given: []int32{-1}},
		"fit":                          {IDs: make([]int32, 100), MaxNewTokens: 30},
		"room for 128":                 {IDs: []int32{1}, MaxNewTokens: math.MaxInt},
		"negative":                     {IDs: []int32{1}, MaxNewTokens: -1},
		"makes no texts":               {IDs: []int32{1}, Stop: []string{"x"}},
		"top_p is 2":                   {IDs: []int32{1}, Sampling: sampling.Config{TopP: 2}},
		"temperature is NaN":           {IDs: []int32{1}, Sampling: sampling.Config{Temperature: math.NaN()}},
		"repetition_penalty is -1":     {IDs: []int32{1}, Sampling: sampling.Config{RepetitionPenalty: -1}},
		"min_p is -1, and must be fro": {IDs: []int32{1}, Sampling: sampling.Config{MinP: -1, Temperature: 1}},
	} {
		if _, err := b.Add(p); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want an error with %q", err, want)
		}
	}
	if _, err := b.Add(generation.Prompt{IDs: make([]int32, 100), MaxNewTokens: 29}); err != nil {
		t.Errorf("a prompt that fits: %v", err)
	}
	if bytes := b.CacheBytes(); bytes != 128*2*2*2*8*4 || bytes != llm.CacheBytes(model(t).Config(), 128) {
		t.Errorf("the cache takes %d bytes, and %d were announced", bytes, llm.CacheBytes(model(t).Config(), 128))
	}
}

// FuzzBatch adds and cancels rows in any order: every row ends, with the answer that it
// has alone.
func FuzzBatch(f *testing.F) {
	m := model(f)
	all := prompts(12)
	want := answer(f, llm.NewBatch(m, generation.Config{MaxSequences: 12}), all, rand.New(rand.NewPCG(1, 1)).Perm(12))
	f.Add([]byte{3, 0, 1, 2, 0x81, 3, 4, 5, 0x92, 6, 0x83}, uint8(2), uint8(10))
	f.Add([]byte{0, 0, 0, 0xf0, 0, 0xe1, 2, 2, 0xf3, 4, 4}, uint8(4), uint8(0))
	f.Add([]byte("2\x810"), uint8(2), uint8('n')) // a row leaves before it has computed anything that another waits for
	f.Fuzz(func(t *testing.T, steps []byte, sequences, blocks uint8) {
		b := llm.NewBatch(m, generation.Config{MaxSequences: int(sequences)%9 + 1, MaxBatchedTokens: 16, CacheTokens: 320 + 64*int(blocks%20)})
		defer b.Close()
		type added struct {
			row    *generation.Row
			prompt int
		}
		var rows []added
		for _, s := range steps[:min(len(steps), 60)] {
			if at := int(s & 0x7f); s >= 0x80 && len(rows) > 0 {
				rows[at%len(rows)].row.Cancel()
			} else {
				row, err := b.Add(all[at%12])
				if err != nil {
					t.Fatal(err)
				}
				rows = append(rows, added{row, at % 12})
			}
			for range s % 3 {
				if _, err := b.Step(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := b.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			a, err := r.row.Answer()
			if errors.Is(err, generation.ErrCancelled) {
				continue
			}
			if err != nil || !slices.Equal(a.IDs, want[r.prompt].IDs) {
				t.Fatalf("prompt %d: %v, %v, want %v", r.prompt, a.IDs, err, want[r.prompt].IDs)
			}
		}
		if l := b.Load(); l != (generation.Load{MaxCacheTokens: l.MaxCacheTokens}) {
			t.Errorf("%+v is left", l)
		}
	})
}

// ExampleBatch answers two prompts together.
func ExampleBatch() {
	m, err := llm.New(llm.Config{ModelType: llm.TypeLlama, VocabSize: 20, HiddenSize: 8, IntermediateSize: 8, Layers: 1, Heads: 1, KVHeads: 1}, 1)
	if err != nil {
		panic(err)
	}
	b := llm.NewBatch(m, generation.Config{MaxSequences: 2})
	first, _ := b.Add(generation.Prompt{IDs: []int32{1, 2}, MaxNewTokens: 3})
	second, _ := b.Add(generation.Prompt{IDs: []int32{3}, MaxNewTokens: 5})
	if err := b.Drain(context.Background()); err != nil {
		panic(err)
	}
	for _, row := range []*generation.Row{first, second} {
		answer, _ := row.Answer()
		fmt.Println(len(answer.IDs), answer.Finish)
	}
	// Output:
	// 3 length
	// 5 length
}
