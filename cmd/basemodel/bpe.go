package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
)

// The special tokens of ChatML.
const (
	startToken = "<|im_start|>"
	endToken   = "<|im_end|>"
	padToken   = "<|endoftext|>"
)

const chatTemplate = "{% for message in messages %}" + startToken + "{{ message['role'] }}\n{{ message['content'] }}" + endToken + "\n{% endfor %}" +
	"{% if add_generation_prompt %}" + startToken + "assistant\n{% endif %}"

// vocabulary trains byte-level BPE: it merges the most frequent pair until there
// are size tokens. Of equally frequent pairs it merges the first in sorted order.
func vocabulary(texts []string, size int) (vocab map[string]int, merges [][2]string) {
	symbols, order := byteSymbols()
	vocab = map[string]int{}
	for i, l := range order {
		vocab[l] = i
	}
	type word struct {
		parts []string
		count int
	}
	counts := map[string]int{}
	// The pattern has no look-ahead, which Go does not support. So it differs
	// from the pattern of the tokenizer only in runs of several spaces, and the
	// corpus has none.
	split := regexp.MustCompile(`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+`)
	for _, t := range texts {
		for _, w := range split.FindAllString(t, -1) {
			counts[w]++
		}
	}
	var words []word
	for _, w := range sortedKeys(counts) {
		var parts []string
		for i := range len(w) {
			parts = append(parts, symbols[w[i]])
		}
		words = append(words, word{parts, counts[w]})
	}
	for len(vocab) < size {
		pairs := map[[2]string]int{}
		for _, w := range words {
			for i := range len(w.parts) - 1 {
				pairs[[2]string{w.parts[i], w.parts[i+1]}] += w.count
			}
		}
		best, most := [2]string{}, 1
		for p, n := range pairs {
			if n > most || n == most && p[0]+" "+p[1] < best[0]+" "+best[1] {
				best, most = p, n
			}
		}
		if most < 2 {
			break
		}
		merges = append(merges, best)
		vocab[best[0]+best[1]] = len(vocab)
		for i, w := range words {
			for j := 0; j+1 < len(w.parts); j++ {
				if w.parts[j] == best[0] && w.parts[j+1] == best[1] {
					w.parts = append(append(w.parts[:j:j], best[0]+best[1]), w.parts[j+2:]...)
				}
			}
			words[i] = w
		}
	}
	return vocab, merges
}

// byteSymbols returns the table of byte-level BPE. Source: openai/gpt-2,
// src/encoder.py, bytes_to_unicode.
func byteSymbols() (symbols [256]string, order []string) {
	next := rune(256)
	for b := range 256 {
		r := rune(b)
		if !('!' <= r && r <= '~' || '¡' <= r && r <= '¬' || '®' <= r && r <= 'ÿ') {
			r = next
			next++
		}
		symbols[b] = string(r)
		order = append(order, string(r))
	}
	sort.Strings(order)
	return symbols, order
}

func sortedKeys(m map[string]int) []string {
	set := map[string]bool{}
	for k := range m {
		set[k] = true
	}
	return sorted(set)
}

// writeTokenizer writes the files of a tokenizer and returns the size of its
// vocabulary and the ids of the special tokens.
func writeTokenizer(dir string, vocab map[string]int, merges [][2]string) (size int, ids map[string]int, err error) {
	specials := []string{padToken, startToken, endToken}
	ids = map[string]int{}
	var added []map[string]any
	for i, s := range specials {
		ids[s] = len(vocab) + i
		added = append(added, map[string]any{
			"id": ids[s], "content": s, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true,
		})
	}
	var lines []string
	for _, m := range merges {
		lines = append(lines, m[0]+" "+m[1])
	}
	level := map[string]any{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}
	files := map[string]any{
		"tokenizer.json": map[string]any{
			"version": "1.0", "truncation": nil, "padding": nil, "added_tokens": added, "normalizer": nil,
			"pre_tokenizer": level, "post_processor": nil, "decoder": level,
			"model": map[string]any{
				"type": "BPE", "dropout": nil, "unk_token": nil, "continuing_subword_prefix": nil, "end_of_word_suffix": nil,
				"fuse_unk": false, "byte_fallback": false, "ignore_merges": false, "vocab": vocab, "merges": lines,
			},
		},
		"tokenizer_config.json": map[string]any{
			"tokenizer_class": "PreTrainedTokenizerFast", "chat_template": chatTemplate, "eos_token": endToken, "pad_token": padToken,
			"model_max_length": 256, "clean_up_tokenization_spaces": false, "add_prefix_space": false,
		},
		"generation_config.json": map[string]any{"eos_token_id": []int{ids[endToken]}, "pad_token_id": ids[padToken], "do_sample": false},
	}
	for name, content := range files {
		if err := writeJSON(filepath.Join(dir, name), content); err != nil {
			return 0, nil, err
		}
	}
	return len(vocab) + len(specials), ids, nil
}

func writeJSON(path string, content any) error {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(content); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(b.String()), 0o644)
}
