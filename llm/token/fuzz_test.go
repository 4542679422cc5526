package token_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/tunebus/tunebus/llm/token"
)

// FuzzOpen: whatever tokenizer.json says, opening it ends with a tokenizer
// that encodes and decodes, or an error.
func FuzzOpen(f *testing.F) {
	for _, seed := range []string{
		`{"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]},"pre_tokenizer":{"type":"ByteLevel"},"decoder":{"type":"ByteLevel"}}`,
		`{"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":[["a","b"]]},"added_tokens":[{"id":3,"content":"<s>","special":true}],
		"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"\\s+"},"behavior":"Isolated"},{"type":"ByteLevel","use_regex":false}]},"decoder":{"type":"ByteLevel"}}`,
		`{"model":{"type":"BPE","vocab":{"a":-5},"merges":["a a"]},"pre_tokenizer":{"type":"ByteLevel"},"decoder":{"type":"ByteLevel"}}`,
		`{"model":{"type":"BPE","vocab":{"a":99999999},"merges":[]},"pre_tokenizer":{"type":"ByteLevel"},"decoder":{"type":"ByteLevel"}}`,
		`{"model":{"type":"Unigram","unk_id":0,"byte_fallback":true,"vocab":[["<unk>",0],["▁",-1],["a",-2.5],["▁a",-2],["a",-1]]},"decoder":{"type":"Metaspace"},
		"normalizer":{"type":"Sequence","normalizers":[{"type":"Precompiled","precompiled_charsmap":"CAAAAAAAAAAAAAAAYQA="},{"type":"NFKC"},{"type":"Lowercase"},{"type":"Replace","pattern":{"Regex":"a*"},"content":"b"}]},
		"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"WhitespaceSplit"},{"type":"Metaspace"}]}}`,
		`{"model":{"type":"Unigram"}}`, `{"added_tokens":[{"id":-1,"content":""}]}`, `null`, ``,
	} {
		f.Add([]byte(seed), "a b ab <s>")
	}
	f.Fuzz(func(t *testing.T, body []byte, text string) {
		dir := t.TempDir()
		for name, content := range map[string][]byte{"tokenizer.json": body, "tokenizer_config.json": []byte("{}")} {
			if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		tok, err := token.Open(dir)
		if err != nil {
			return
		}
		tok.Decode(tok.Encode(text), true)
	})
}
