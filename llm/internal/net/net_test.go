package net

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/tunebus/tunebus/llm/internal/dropout"
	"github.com/tunebus/tunebus/llm/internal/kernel"
	"github.com/tunebus/tunebus/llm/internal/optimizer"
	"github.com/tunebus/tunebus/llm/internal/rotary"
)

// TestMain has all goroutines work on networks that are too small for it, and sees that
// none is left behind.
func TestMain(m *testing.M) {
	MemberWork = 1
	goleak.VerifyTestMain(m)
}

// shape is one whose sizes fill no vector and no tile.
func shape() Shape {
	return Shape{Vocab: 37, Hidden: 20, Intermediate: 44, Heads: 4, KVHeads: 2, HeadDim: 10, Epsilon: 1e-5, Rotaries: []rotary.Embedding{{Frequencies: []float64{1, 0.5, 0.2, 0.1, 0.03}}, {Frequencies: []float64{0.7, 0.02}, Scale: 1.3}}}
}

// options say what a network of a test has.
type options struct {
	layers       int
	learns       bool // all weights
	tied, biases bool
	headNorms    bool
	rank         int
	dropout      float64
	recompute    bool
	optimizer    string
	dora, ranks  bool
	// parts of families
	change           func(*Shape)
	wholeNorms       bool // in place of those of heads
	post, noPre      bool
	fused, layerwise bool
	// kept, if set, is how frozen matrices are kept; with plain their numbers are
	// float32 all the same.
	kept  func(w []float32, out, in int) *kernel.Packed
	plain bool
}

// variants are networks that differ in every part.
func variants() map[string]options {
	return map[string]options{
		"all weights, untied, biases":   {layers: 2, learns: true, biases: true},
		"all weights, tied, head norms": {layers: 2, learns: true, tied: true, headNorms: true},
		"adapter":                       {layers: 2, tied: true, rank: 5, biases: true, headNorms: true},
		"adapter with dropout":          {layers: 2, rank: 3, dropout: 0.3},
		"all weights, post-norms, caps": {layers: 3, learns: true, tied: true, headNorms: true, post: true, layerwise: true, change: func(c *Shape) {
			c.GELU, c.EmbedScale, c.ScoreScale, c.ScoreCap, c.LogitCap = true, 1.5, 0.4, 2, 3
		}},
		"all weights, post-norms alone": {layers: 2, learns: true, headNorms: true, wholeNorms: true, post: true, noPre: true},
		"adapter, scales":               {layers: 3, rank: 3, layerwise: true, change: func(c *Shape) { c.EmbedScale, c.ResidualScale, c.LogitScale, c.ScoreScale = 2, 0.6, 0.5, 0.1 }},
		"adapter, fused, one head":      {layers: 2, rank: 3, fused: true, headNorms: true, wholeNorms: true, dropout: 0.3, change: func(c *Shape) { c.KVHeads = 1 }},
		"adapter, bfloat16, untied":     {layers: 2, rank: 3, kept: keptAs("bfloat16"), headNorms: true},
		"adapter, float16, tied":        {layers: 2, rank: 3, kept: keptAs("float16"), tied: true, dropout: 0.3},
		"adapter, int8, recomputed":     {layers: 2, rank: 3, kept: keptAs("int8"), tied: true, recompute: true},
		"adapter, nf4":                  {layers: 2, rank: 3, kept: keptAs("nf4"), biases: true},
		"adapter, int4, scales":         {layers: 2, rank: 3, kept: keptAs("int4"), change: func(c *Shape) { c.EmbedScale, c.ResidualScale, c.LogitScale = 2, 0.6, 0.5 }},
		"all weights, recomputed":       {layers: 3, learns: true, headNorms: true, recompute: true},
		"adapter, DoRA":                 {layers: 2, rank: 3, dora: true, biases: true, recompute: true},
		"adapter, DoRA, fused":          {layers: 2, rank: 3, dora: true, fused: true, headNorms: true, post: true},
		"adapter, DoRA with dropout":    {layers: 2, rank: 3, dora: true, biases: true, dropout: 0.3},
		"adapter, ranks":                {layers: 2, rank: 3, ranks: true, dropout: 0.2},
		"all weights, sgd":              {layers: 1, learns: true, optimizer: "sgd"},
		"all weights, adafactor":        {layers: 1, learns: true, optimizer: "adafactor"},
	}
}

// build makes a network of random weights.
func (o options) build(c Shape) *Network {
	rng := rand.New(rand.NewPCG(7, 8))
	weight := func(n int, middle, spread float64, learns bool) Weight {
		w := Weight{Data: make([]float32, n)}
		for i := range w.Data {
			w.Data[i] = float32(middle + spread*rng.NormFloat64())
		}
		if learns {
			w.Grad = make([]float32, n)
		}
		return w
	}
	if o.change != nil {
		o.change(&c)
	}
	linear := func(out, in int) Linear {
		l := Linear{Out: out, In: in, Weight: weight(out*in, 0, 1/math.Sqrt(float64(in)), o.learns)}
		if o.biases {
			l.Bias = weight(out, 0, 0.1, o.learns)
		}
		if o.rank > 0 {
			l.Rank, l.Scale = o.rank, 0.7
			if o.ranks { // projections differ
				l.Rank, l.Scale = o.rank+rng.IntN(3), 0.3
			}
			l.A, l.B = weight(l.Rank*in, 0, 0.3, true), weight(out*l.Rank, 0, 0.3, true)
			if o.dora {
				l.Magnitude = weight(out, 1, 0.3, true)
			}
		}
		return l
	}
	n := &Network{Shape: c, Embed: weight(c.Vocab*c.Hidden, 0, 0.5, o.learns), Norm: weight(c.Hidden, 1, 0.1, o.learns)}
	if n.Head = n.Embed; !o.tied {
		n.Head = weight(c.Vocab*c.Hidden, 0, 0.5, o.learns)
	}
	n.Dropout = o.dropout
	for at := range o.layers {
		l := Layer{
			AttentionNorm: weight(c.Hidden, 1, 0.1, o.learns), MLPNorm: weight(c.Hidden, 1, 0.1, o.learns),
			Q: linear(c.queries(), c.Hidden), K: linear(c.keys(), c.Hidden), V: linear(c.keys(), c.Hidden), O: linear(c.Hidden, c.queries()),
			Gate: linear(c.Intermediate, c.Hidden), Up: linear(c.Intermediate, c.Hidden), Down: linear(c.Hidden, c.Intermediate),
		}
		if o.headNorms && o.wholeNorms {
			l.QNorm, l.KNorm = weight(c.queries(), 1, 0.1, o.learns), weight(c.keys(), 1, 0.1, o.learns)
		} else if o.headNorms {
			l.QNorm, l.KNorm = weight(c.HeadDim, 1, 0.1, o.learns), weight(c.HeadDim, 1, 0.1, o.learns)
		}
		if o.post {
			l.AttentionPost, l.MLPPost = weight(c.Hidden, 1, 0.1, o.learns), weight(c.Hidden, 1, 0.1, o.learns)
		}
		if o.noPre {
			l.AttentionNorm, l.MLPNorm = Weight{}, Weight{}
		}
		if o.fused {
			l.K.A, l.V.A, l.Up.A = l.Q.A, l.Q.A, l.Gate.A
		}
		if o.layerwise { // the layers differ
			l.Rotary, l.Window = at-1, 21*at
		}
		n.Layers = append(n.Layers, l)
	}
	if o.kept != nil {
		o.keep(n)
	}
	return n
}

func (o options) trainer(n *Network, threads int) *Trainer {
	t := NewTrainer(n, threads)
	if o.recompute {
		t.Recompute()
	}
	return t
}

// weights are those that learn, with names.
func (n *Network) weights() (names []string, out []Weight) {
	add := func(name string, w Weight) {
		if w.Grad != nil {
			names, out = append(names, name), append(out, w)
		}
	}
	add("embed", n.Embed)
	if !sameWeight(n.Head, n.Embed) {
		add("head", n.Head)
	}
	add("norm", n.Norm)
	for i := range n.Layers {
		l := &n.Layers[i]
		for at, w := range []Weight{l.AttentionNorm, l.MLPNorm, l.AttentionPost, l.MLPPost, l.QNorm, l.KNorm} {
			add(fmt.Sprintf("layer %d norm %d", i, at), w)
		}
		for at, p := range l.linears() {
			for part, w := range []Weight{p.Weight, p.Bias, p.A, p.B, p.Magnitude} {
				if part == 2 && at > 0 && sameWeight(p.A, l.linears()[at-1].A) {
					continue
				}
				add(fmt.Sprintf("layer %d projection %d part %d", i, at, part), w)
			}
		}
	}
	return names, out
}

// ragged are rows of different lengths, one of them empty and one longer than a
// block of attention.
func ragged(vocab int) []Row {
	rng := rand.New(rand.NewPCG(5, 6))
	var out []Row
	for _, n := range []int{5, 0, 61, 2, 1} {
		r := Row{IDs: make([]int32, n), Count: make([]bool, n)}
		for i := range n {
			r.IDs[i], r.Count[i] = int32(rng.IntN(vocab)), i >= n/3
		}
		out = append(out, r)
	}
	return out
}

// TestGradients compares every weight's gradient with central differences of
// the loss, which drops the same inputs when it is drawn again.
func TestGradients(t *testing.T) {
	for name, o := range variants() {
		t.Run(name, func(t *testing.T) {
			n := o.build(shape())
			tr, rows, draw := o.trainer(n, 2), ragged(n.Shape.Vocab), dropout.Draw{Seed: 3, Step: 4, Part: 5}
			if _, _, err := tr.Gradients(rows, draw); err != nil {
				t.Fatal(err)
			}
			names, weights := n.weights()
			want := make([][]float32, len(weights))
			for i, w := range weights {
				want[i] = slices.Clone(w.Grad)
			}
			rng := rand.New(rand.NewPCG(1, 2))
			loss := func() float64 {
				sum, _, err := tr.Gradients(rows, draw)
				if err != nil {
					t.Fatal(err)
				}
				return sum
			}
			for i, w := range weights {
				tr.isStretched = o.dora && strings.HasSuffix(names[i], "part 4") // of other weights the measures are constants
				largest := 0.0
				for _, g := range want[i] {
					largest = max(largest, math.Abs(float64(g)))
				}
				if largest == 0 {
					t.Errorf("%s has no gradient", names[i])
				}
				for range 3 {
					at := rng.IntN(len(w.Data))
					old := w.Data[at]
					const h = 4e-3
					w.Data[at] = old + h
					above, up := loss(), float64(w.Data[at])
					w.Data[at] = old - h
					below, down := loss(), float64(w.Data[at])
					w.Data[at] = old
					got, differences := float64(want[i][at]), (above-below)/(up-down)
					if math.Abs(got-differences) > 0.02*max(largest, 0.2) {
						t.Errorf("%s[%d]: gradient %.5f, differences give %.5f", names[i], at, got, differences)
					}
				}
			}
		})
	}
}

// learner is the optimizer of weights.
func (o options) learner(t *testing.T, weights []Weight, threads int) *optimizer.Optimizer {
	t.Helper()
	var learned []optimizer.Weight
	for i, w := range weights {
		learned = append(learned, optimizer.Weight{Name: fmt.Sprint(i), Shape: []int{len(w.Data) / 2, 2}[:1+i%2], Values: w.Data, Gradients: w.Grad, Decays: true})
	}
	out, err := optimizer.New(optimizer.Settings{Method: o.optimizer, Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, Momentum: 0.9}, learned, threads)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// training is what three steps and an answer leave behind.
func training(t *testing.T, o options, threads int) (out []float32) {
	t.Helper()
	n := o.build(shape())
	_, weights := n.weights()
	tr, opt := o.trainer(n, threads), o.learner(t, weights, threads)
	for step := range int64(3) {
		loss, count, err := tr.Gradients(ragged(n.Shape.Vocab), dropout.Draw{Seed: 1, Step: step})
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, float32(loss), float32(loss-float64(float32(loss))), float32(opt.Norm()))
		opt.Step(optimizer.Step{Rate: 1e-2, Decay: 0.1, Scale: 1 / float64(count), Number: step + 1})
	}
	loss, _, err := tr.Loss(ragged(n.Shape.Vocab))
	if err != nil {
		t.Fatal(err)
	}
	out = append(out, float32(loss))
	for _, w := range weights {
		out = append(out, w.Data...)
	}
	d := NewDecoder(n, threads)
	cache := d.NewCache(2)
	cache.Place(0, 1)
	cache.Place(1, 0)
	if err := d.Read(cache, []Token{{ID: 3}, {ID: 4, Position: 1, Last: true}, {ID: 5, Sequence: 1, Last: true}}, nil); err != nil {
		t.Fatal(err)
	}
	return append(append(out, d.Logits(0)...), d.Logits(1)...)
}

// TestSameBits: whole trainings and answers have the same bits on every path of
// this processor and with any number of threads.
func TestSameBits(t *testing.T) {
	best := kernel.Active()
	defer func() {
		if err := kernel.Use(best.String()); err != nil {
			t.Error(err)
		}
	}()
	for name, o := range variants() {
		var want []float32
		for _, p := range kernel.Paths() {
			if err := kernel.Use(p.String()); err != nil {
				t.Fatal(err)
			}
			for _, threads := range []int{1, 2, 5} {
				got := training(t, o, threads)
				if want == nil {
					want = got
				}
				for i := range want {
					if math.Float32bits(want[i]) != math.Float32bits(got[i]) {
						t.Fatalf("%s: %s with %d threads: number %d of %d is %v, first it was %v", name, p, threads, i, len(want), got[i], want[i])
					}
				}
			}
		}
	}
}

// TestStepAllocatesNothing, once its buffers are there.
func TestStepAllocatesNothing(t *testing.T) {
	for name, o := range variants() {
		n := o.build(shape())
		_, weights := n.weights()
		tr, opt, rows := o.trainer(n, 2), o.learner(t, weights, 2), ragged(n.Shape.Vocab)
		step := func() {
			if _, _, err := tr.Gradients(rows, dropout.Draw{}); err != nil {
				t.Fatal(err)
			}
			opt.Norm()
			opt.Step(optimizer.Step{Rate: 1e-6, Scale: 1, Number: 1})
		}
		step()
		if n := testing.AllocsPerRun(20, step); n > 0 {
			t.Errorf("%s: %v allocations a step", name, n)
		}
	}
}

// TestRecompute: a trainer that computes what the layers keep once more comes to
// the same bits, and keeps much less.
func TestRecompute(t *testing.T) {
	for name, o := range variants() {
		o.recompute = false
		want := training(t, o, 2)
		o.recompute = true
		if got := training(t, o, 2); !slices.Equal(got, want) {
			t.Errorf("%s: the results differ", name)
		}
	}
	o := options{layers: 8, rank: 2, recompute: true}
	tr := o.trainer(o.build(shape()), 2)
	if _, _, err := tr.Gradients(ragged(tr.net.Shape.Vocab), dropout.Draw{}); err != nil {
		t.Fatal(err)
	}
	for l, y := range tr.layers[1:] {
		if len(y.q) > 0 {
			t.Errorf("layer %d keeps its queries", l+1)
		}
	}
}

// TestDecoderIsTheTrainer: the decoder gives each token, one at a time or many at
// once, beside other sequences or alone, the bits that the trainer gives it.
func TestDecoderIsTheTrainer(t *testing.T) {
	for name, o := range variants() {
		n := o.build(shape())
		rng := rand.New(rand.NewPCG(3, 3))
		ids := make([]int32, 140)
		for i := range ids {
			ids[i] = int32(rng.IntN(n.Shape.Vocab))
		}
		d := NewDecoder(n, 2)
		for _, step := range []int{1, 7, 140} {
			cache := d.NewCache(3)
			cache.Place(1, 5, 0, 2)
			cache.Place(2, 1, 3, 4)
			if err := d.Read(cache, []Token{{ID: 1, Sequence: 2, Last: true}}, nil); err != nil {
				t.Fatal(err)
			}
			for at := 0; at < len(ids); at += step {
				tokens := []Token{{ID: 2, Sequence: 2, Position: at/step + 1}}
				end := min(at+step, len(ids))
				for i := at; i < end; i++ {
					tokens = append(tokens, Token{ID: ids[i], Sequence: 1, Position: i, Last: i == end-1})
				}
				if err := d.Read(cache, tokens, nil); err != nil {
					t.Fatal(err)
				}
				if end == len(ids) {
					break
				}
				got := loss(slices.Clone(d.Logits(0)), ids[end])
				r := Row{IDs: ids[:end+1], Count: make([]bool, end+1)}
				r.Count[end] = true
				want, _, err := NewTrainer(n, 1).Loss([]Row{r})
				if err != nil || got != want && !(o.dora && math.Abs(got-want) < 1e-5*want) { // the decoder has the factors of DoRA in its weights
					t.Fatalf("%s, %d at once: the loss of token %d is %v, the trainer's %v (%v)", name, step, end, got, want, err)
				}
			}
		}
	}
}

// TestUse: whoever uses the logits is called once for each place, on any goroutine that
// the reading is worth, and finds what Logits gives.
func TestUse(t *testing.T) {
	defer func() { MemberWork = 1 }()
	n := options{layers: 1}.build(shape())
	d := NewDecoder(n, 3)
	var tokens []Token
	for i := range Together + 5 { // in two parts
		tokens = append(tokens, Token{ID: int32(i % 7), Position: i, Last: i%2 == 0})
	}
	for _, least := range []int{1, 1 << 40} {
		MemberWork = least
		cache := d.NewCache(1)
		cache.Place(0, 0, 1)
		used, members := make([]float32, (len(tokens)+1)/2), make([]int, (len(tokens)+1)/2)
		for i := range members {
			members[i] = -1
		}
		if err := d.Read(cache, tokens, func(member, place int) {
			if members[place] != -1 || member >= d.Members() {
				t.Errorf("place %d: member %d after %d", place, member, members[place])
			}
			used[place], members[place] = d.Logits(place)[3], member
		}); err != nil {
			t.Fatal(err)
		}
		if got := slices.Max(members); slices.Min(members) < 0 || got != 2 && least == 1 || got != 0 && least > 1 {
			t.Errorf("products for each member %d: used by %v", least, members)
		}
		for i, v := range used {
			if v != d.Logits(i)[3] {
				t.Errorf("place %d: used was %v, later it is %v", i, v, d.Logits(i)[3])
			}
		}
	}
}

// TestOverflow: a token whose values are too large spoils what comes after it, but
// nothing before it, however many tokens are read at once, so that others may share the
// beginning.
func TestOverflow(t *testing.T) {
	const bad, tokens, spoilt = 36, 150, 100
	n := options{layers: 3}.build(shape())
	hidden := n.Shape.Hidden
	for id := range n.Shape.Vocab {
		n.Embed.Data[id*hidden] = 0
	}
	n.Embed.Data[bad*hidden] = 1
	for i := range n.Layers[0].V.Out {
		n.Layers[0].V.Weight.Data[i*hidden] = math.MaxFloat32
	}
	n.Layers[1].Window, n.Layers[2].Window = 20, 20
	var ids []Token
	for i := range tokens {
		ids = append(ids, Token{ID: int32(i*7) % bad, Position: i, Last: true})
	}
	ids[spoilt].ID = bad
	read := func(together int) (out []float32) {
		d := NewDecoder(n, 2)
		cache := d.NewCache(1)
		cache.Place(0, 0, 1, 2)
		for i := 0; i < tokens; i += together {
			part := ids[i:min(i+together, tokens)]
			if err := d.Read(cache, part, nil); err != nil {
				t.Fatal(err)
			}
			for place := range part {
				out = append(out, d.Logits(place)...)
			}
		}
		return out
	}
	vocab := n.Shape.Vocab
	want := read(1)
	for i, v := range want {
		if is := v-v != 0; is != (i/vocab >= spoilt) {
			t.Fatalf("token %d has the logit %v", i/vocab, v)
		}
	}
	for _, together := range []int{7, 96, tokens} {
		if got := read(together); !slices.Equal(got[:spoilt*vocab], want[:spoilt*vocab]) {
			t.Errorf("%d tokens at once: those before the one that overflows have other logits than one at a time", together)
		}
	}
}

// TestUnknownToken: an id beyond the vocabulary is an error, not a panic.
func TestUnknownToken(t *testing.T) {
	n := options{layers: 1}.build(shape())
	for _, id := range []int32{-1, 37} {
		if _, _, err := NewTrainer(n, 1).Loss([]Row{{}, {IDs: []int32{1, id}, Count: []bool{true, true}}}); err == nil {
			t.Errorf("a row with the id %d: no error", id)
		}
		if d := NewDecoder(n, 1); d.Read(d.NewCache(1), []Token{{ID: id}}, nil) == nil {
			t.Errorf("a token with the id %d: no error", id)
		}
	}
}

// TestMemoryGrowsWithTokens, not with their square: no scores are kept.
func TestMemoryGrowsWithTokens(t *testing.T) {
	numbers := func(tokens int) int {
		tr := NewTrainer(options{layers: 2, rank: 2, tied: true}.build(shape()), 2)
		r := Row{IDs: make([]int32, tokens), Count: make([]bool, tokens)}
		if _, _, err := tr.Gradients([]Row{r}, dropout.Draw{}); err != nil {
			t.Fatal(err)
		}
		sum := len(tr.normed) + len(tr.middleNormed) + len(tr.through)
		for _, y := range tr.layers {
			sum += len(y.middle) + len(y.q) + len(y.k) + len(y.v) + len(y.attended) + len(y.logs) + len(y.gate) + len(y.up)
		}
		for i := range tr.worker {
			sum += len(tr.worker[i].scores) + len(tr.worker[i].gradients)
		}
		return sum
	}
	if short, long := numbers(300), numbers(1200); float64(long) > 4.4*float64(short) {
		t.Errorf("%d numbers for 300 tokens, %d for 1,200", short, long)
	}
}
