package generation

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/tunebus/tunebus/llm/internal/kvcache"
	"github.com/tunebus/tunebus/llm/internal/net"
	"github.com/tunebus/tunebus/llm/internal/prefix"
)

// BlockTokens is how many tokens a block of the cache has.
const BlockTokens = kvcache.BlockTokens

// Config says how much a batch computes at once, and how much it keeps.
type Config struct {
	// MaxSequences is how many rows are answered at once. Default 16.
	MaxSequences int
	// MaxBatchedTokens is how many tokens a step reads at most, one of each row that is
	// being answered and pieces of prompts. Default 96; never below MaxSequences.
	MaxBatchedTokens int
	// CacheTokens is of how many tokens the batch keeps keys and values at most, those of
	// prompts that may come again among them. Default 2,048 for each sequence.
	// Rows take it in blocks of [BlockTokens]. [Batch.CacheBytes] says how much memory that
	// is; it is taken as it is needed.
	CacheTokens int
	// MaxWaiting is how many rows may wait for a place. Default: any number.
	MaxWaiting int
	// Decode makes text of tokens. Without it answers have no text.
	Decode func(ids []int32) string
}

func (c Config) withDefaults() Config {
	if c.MaxSequences < 1 {
		c.MaxSequences = 16
	}
	if c.MaxBatchedTokens < 1 {
		c.MaxBatchedTokens = net.Together
	}
	c.MaxBatchedTokens = max(c.MaxBatchedTokens, c.MaxSequences)
	if c.CacheTokens < 1 {
		c.CacheTokens = 2048 * c.MaxSequences
	}
	return c
}

// blocks is how many blocks the cache has at most.
func (c Config) blocks() int { return (c.CacheTokens + kvcache.BlockTokens - 1) / kvcache.BlockTokens }

// Batch answers prompts. See the package for who may call what.
type Batch struct {
	cfg   Config
	cache *kvcache.Cache
	pool  *prefix.Pool
	vocab int
	step  *step

	running []*Row
	free    []int // sequences of the cache that no row has

	lock    sync.Mutex
	waiting []*Row
	wake    chan struct{}
	closed  error // why no more rows are taken
	load    Load
}

// Load is what a batch has to do.
type Load struct {
	Running, Waiting int
	// CacheTokens is how many tokens the rows that run have room for, of at most
	// MaxCacheTokens.
	CacheTokens, MaxCacheTokens int
}

// New makes a batch on a decoder of so many tokens of vocabulary. A decoder is for one
// batch at a time; llm.NewBatch makes one for a model.
func New(d *net.Decoder, vocab int, cfg Config) *Batch {
	b := &Batch{cfg: cfg.withDefaults(), vocab: vocab, wake: make(chan struct{}, 1)}
	b.step = newStep(d, b.cfg)
	for s := range b.cfg.MaxSequences {
		b.free = append(b.free, b.cfg.MaxSequences-1-s)
	}
	b.cache = d.NewCache(b.cfg.MaxSequences)
	b.pool = prefix.New(b.cfg.blocks(), kvcache.BlockTokens, b.cache.Copy)
	return b
}

// CacheBytes is how much memory keys and values take at most.
func (b *Batch) CacheBytes() int64 { return int64(b.cfg.blocks()) * b.cache.BlockBytes() }

// Load says what the batch has to do now.
func (b *Batch) Load() Load {
	b.lock.Lock()
	defer b.lock.Unlock()
	l := b.load
	l.Waiting, l.MaxCacheTokens = len(b.waiting), b.cfg.blocks()*BlockTokens
	return l
}

// Add has a prompt answered. What is wrong with it is said at once: [ErrEmpty],
// [ErrFull], [ErrClosed], [*TokenError], [*TooLongError], and faults of its numbers.
// The batch reads the slices of the prompt until the row has ended.
func (b *Batch) Add(p Prompt) (*Row, error) {
	if err := p.check(b.cfg, b.vocab); err != nil {
		return nil, err
	}
	r := newRow(b, p)
	b.lock.Lock()
	defer b.lock.Unlock()
	switch {
	case b.closed != nil:
		return nil, b.closed
	case b.cfg.MaxWaiting > 0 && len(b.waiting) >= b.cfg.MaxWaiting:
		return nil, ErrFull
	}
	b.waiting = append(b.waiting, r)
	b.awake()
	return r, nil
}

// awake has Run look for rows. The lock is held.
func (b *Batch) awake() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// Drain answers until no row runs or waits. Where ctx ends, all rows end with its cause,
// which it returns.
func (b *Batch) Drain(ctx context.Context) error {
	for {
		if more, err := b.Step(ctx); !more || err != nil {
			return err
		}
	}
}

// Run answers, and waits for prompts, until ctx ends. Then all rows end with the
// context's cause, which it returns, and Add takes no more. Where a step panics, the rows
// that it was about end with a [*PanicError], and the others go on.
func (b *Batch) Run(ctx context.Context) error {
	for {
		more, err := guarded(ctx, b)
		if err != nil {
			b.Close()
			return err
		}
		if more {
			continue
		}
		select {
		case <-ctx.Done():
		case <-b.wake:
		}
	}
}

// guarded is Step without its panic.
func guarded(ctx context.Context, b *Batch) (more bool, err error) {
	defer func() {
		if value := recover(); value != nil {
			endRunning(b, &PanicError{value})
			more, err = b.left(), nil
		}
	}()
	return b.Step(ctx)
}

// PanicError is a fault of the program that ended rows.
type PanicError struct{ Value any }

func (e *PanicError) Error() string {
	return fmt.Sprintf("generate: a fault of the program: %v", e.Value)
}

// Close ends all rows that have not ended with [ErrClosed]; Add returns that from now on.
// It is for the goroutine that calls Step.
func (b *Batch) Close() {
	b.lock.Lock()
	b.closed = ErrClosed
	b.lock.Unlock()
	b.abandon(ErrClosed)
}

// endRunning ends the rows that are answered with an error.
func endRunning(b *Batch, err error) {
	for _, r := range b.running {
		b.leave(r, err)
	}
	b.running = b.running[:0]
}

// abandon ends all rows with an error.
func (b *Batch) abandon(err error) {
	endRunning(b, err)
	b.lock.Lock()
	waiting := b.waiting
	b.waiting = nil
	b.lock.Unlock()
	for _, r := range waiting {
		r.end(err)
	}
	b.tellLoad()
}

// Step has rows enter, computes the next token of each that is being answered and reads
// pieces of prompts. It reports whether any row is left.
func (b *Batch) Step(ctx context.Context) (more bool, err error) {
	if ctx.Err() != nil {
		err := fmt.Errorf("generate: %w", context.Cause(ctx))
		b.abandon(err)
		return false, err
	}
	b.enter()
	if b.dismiss(); len(b.running) == 0 {
		return b.left(), nil
	}
	if err := b.step.compute(b.cache, b.running); err != nil {
		return false, fmt.Errorf("generate: %w", err) // Add has looked at all tokens
	}
	for _, r := range b.running {
		r.blocks.Computed(r.read)
	}
	for i := range b.step.asked {
		if a := &b.step.asked[i]; !a.row.ended {
			a.row.take(a)
		}
	}
	b.dismiss()
	return b.left(), nil
}

// enter gives rows that wait the places that are free, as long as the cache has room.
func (b *Batch) enter() {
	before := len(b.running)
	b.admit()
	for _, r := range b.running[before:] {
		b.cache.Place(r.sequence, r.blocks.Blocks()...)
		r.begin()
	}
}

func (b *Batch) admit() {
	b.lock.Lock()
	defer b.lock.Unlock()
	for len(b.free) > 0 && len(b.waiting) > 0 {
		r := b.waiting[0]
		ids := r.prompt.IDs
		// The last token is computed in any case: what follows is chosen by what it gives.
		if r.blocks = b.pool.Enter(ids[:len(ids)-1], r.prompt.positions()); r.blocks == nil {
			break
		}
		b.waiting = slices.Delete(b.waiting, 0, 1)
		last := len(b.free) - 1
		r.sequence, b.free = b.free[last], b.free[:last]
		b.running = append(b.running, r)
	}
}

// dismiss has the rows leave that have ended.
func (b *Batch) dismiss() {
	kept := b.running[:0]
	for _, r := range b.running {
		switch {
		case r.cancelled.Load():
			b.leave(r, ErrCancelled)
		case r.ended || r.read == r.toRead() && r.prompt.MaxNewTokens == 0:
			b.leave(r, r.fault)
		default:
			kept = append(kept, r)
		}
	}
	clear(b.running[len(kept):])
	b.running = kept
	b.tellLoad()
}

// left reports whether any row runs or waits.
func (b *Batch) left() bool {
	b.lock.Lock()
	defer b.lock.Unlock()
	return len(b.running) > 0 || len(b.waiting) > 0
}

// leave takes a row's place, and ends it.
func (b *Batch) leave(r *Row, err error) {
	b.free = append(b.free, r.sequence)
	r.blocks.Leave()
	r.end(err)
}

// tellLoad notes what Load says.
func (b *Batch) tellLoad() {
	b.lock.Lock()
	b.load = Load{Running: len(b.running), CacheTokens: b.pool.Held() * BlockTokens}
	b.lock.Unlock()
}
