package subword

import "sync"

// Token is a token of a word, and how many bytes of the word it takes.
type Token struct {
	ID    int32
	Width int
}

// Model turns words into tokens.
type Model interface {
	// Word returns the tokens of a word. The result is shared and not to be changed.
	Word(text string) []Token
	// ID finds a token by its text.
	ID(text string) (int32, bool)
}

// cachedWords bounds the cache of a model; words beyond it are merged anew.
const cachedWords = 1 << 16

// longestCached is the longest word in the cache, in bytes. Where nothing cuts a text
// into words, a word is a whole text.
const longestCached = 128

// cache holds the tokens of words.
type cache struct {
	mu    sync.RWMutex
	words map[string][]Token
}

// of returns the tokens of a word, which find makes where the cache has none.
func (c *cache) of(text string, find func() []Token) []Token {
	c.mu.RLock()
	tokens, ok := c.words[text]
	c.mu.RUnlock()
	if ok {
		return tokens
	}
	tokens = find()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.words == nil {
		c.words = map[string][]Token{}
	}
	if len(c.words) < cachedWords && len(text) <= longestCached {
		c.words[text] = tokens
	}
	return tokens
}
