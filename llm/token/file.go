package token

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tunebus/tunebus/llm/regularfile"
	"github.com/tunebus/tunebus/llm/safetensors"
	"github.com/tunebus/tunebus/llm/token/subword"
)

// tokenizerFile is what is read of tokenizer.json.
type tokenizerFile struct {
	AddedTokens  []addedToken `json:"added_tokens"`
	Normalizer   *component   `json:"normalizer"`
	PreTokenizer *component   `json:"pre_tokenizer"`
	Decoder      *component   `json:"decoder"`
	// PostProcessor says what stands around a text.
	PostProcessor *postProcessor `json:"post_processor"`
	Model         struct {
		Type         string     `json:"type"`
		IgnoreMerges bool       `json:"ignore_merges"`
		ByteFallback bool       `json:"byte_fallback"`
		Dropout      float64    `json:"dropout"`
		Prefix       string     `json:"continuing_subword_prefix"`
		Suffix       string     `json:"end_of_word_suffix"`
		Unknown      string     `json:"unk_token"`
		FuseUnknown  bool       `json:"fuse_unk"`
		UnknownID    *int32     `json:"unk_id"` // of a Unigram
		Vocab        vocabulary `json:"vocab"`
		Merges       []merge    `json:"merges"`
	} `json:"model"`
}

// addedToken is a token that is found in the text before anything else.
type addedToken struct {
	ID         int32  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
	Special    bool   `json:"special"`
}

// component is a normalizer, a pre-tokenizer or a decoder.
type component struct {
	Type           string       `json:"type"`
	AddPrefixSpace bool         `json:"add_prefix_space"`
	UseRegex       *bool        `json:"use_regex"` // absent means true
	Behavior       string       `json:"behavior"`
	Invert         bool         `json:"invert"`
	Individual     bool         `json:"individual_digits"`
	Pattern        splitPattern `json:"pattern"`
	PreTokenizers  []component  `json:"pretokenizers"`
	Normalizers    []component  `json:"normalizers"`
	Decoders       []component  `json:"decoders"`
	// What follows belongs to Prepend, Replace, Metaspace and Strip.
	Prepend       string `json:"prepend"`
	Content       string `json:"content"`
	Replacement   string `json:"replacement"`
	PrependScheme string `json:"prepend_scheme"`
	Splits        *bool  `json:"split"` // absent means true
	Start         int    `json:"start"`
	Stop          int    `json:"stop"`
	StripLeft     bool   `json:"strip_left"`
	StripRight    bool   `json:"strip_right"`
	Charsmap      []byte `json:"precompiled_charsmap"`
}

type splitPattern struct {
	Regex  string `json:"Regex"`
	String string `json:"String"`
}

// merge is a pair of tokens that join: "a b" in older files, ["a", "b"] in
// newer ones.
type merge subword.Merge

// UnmarshalJSON reads either form.
func (m *merge) UnmarshalJSON(raw []byte) error {
	var pair []string
	if err := json.Unmarshal(raw, &pair); err == nil {
		if len(pair) != 2 {
			return fmt.Errorf("merge %s: want two tokens", raw)
		}
		m.Left, m.Right = pair[0], pair[1]
		return nil
	}
	var line string
	if err := json.Unmarshal(raw, &line); err != nil {
		return fmt.Errorf("merge %s: %w", raw, err)
	}
	var ok bool
	if m.Left, m.Right, ok = strings.Cut(line, " "); !ok {
		return fmt.Errorf("merge %q: want two tokens", line)
	}
	return nil
}

// idsFile is what is read of generation_config.json and config.json.
type idsFile struct {
	EOS idList `json:"eos_token_id"`
	PAD *int32 `json:"pad_token_id"`
}

// idList is an id or a list of ids.
type idList []int32

// UnmarshalJSON reads either form; null leaves the list empty.
func (l *idList) UnmarshalJSON(raw []byte) error {
	var one *int32
	if err := json.Unmarshal(raw, &one); err == nil {
		if one != nil {
			*l = idList{*one}
		}
		return nil
	}
	var many []int32
	if err := json.Unmarshal(raw, &many); err != nil {
		return fmt.Errorf("token ids %s: %w", raw, err)
	}
	*l = many
	return nil
}

// readJSON fills v from a file of dir. A file that need not be there leaves v
// as it is.
func readJSON(dir, name string, required bool, v any) error {
	path := filepath.Join(dir, name)
	raw, err := regularfile.Read(path)
	if errors.Is(err, fs.ErrNotExist) && !required {
		return nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		return missing(dir, name)
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	if bytes.HasPrefix(raw, []byte(safetensors.PointerPrefix)) {
		return fmt.Errorf("read %s: it is a pointer of Git LFS, and the file was not fetched; run git lfs pull in its folder", path)
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

// missing is the error of a folder without a file. Tokenizers have been stored in other
// files too.
func missing(dir, name string) error {
	for _, other := range []string{"tokenizer.model", "vocab.json", "vocab.txt", "tekken.json"} {
		if _, err := os.Stat(filepath.Join(dir, other)); err == nil {
			return fmt.Errorf("%s is missing; %s is there, and transformers writes the former: AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER): %w", name, other, fs.ErrNotExist)
		}
	}
	return fmt.Errorf("%s is missing; every model has its own, beside its weights: %w", name, fs.ErrNotExist)
}

// vocabulary are the ids of the pieces of a BPE, or the pieces of a Unigram with their
// scores.
type vocabulary struct {
	ids    map[string]int
	scored []subword.Scored
}

// UnmarshalJSON reads either form.
func (v *vocabulary) UnmarshalJSON(b []byte) error {
	if len(b) == 0 || b[0] != '[' {
		return json.Unmarshal(b, &v.ids)
	}
	var list [][]json.RawMessage
	if err := json.Unmarshal(b, &list); err != nil {
		return err
	}
	for id, entry := range list {
		var s subword.Scored
		if len(entry) != 2 || json.Unmarshal(entry[0], &s.Text) != nil || json.Unmarshal(entry[1], &s.Score) != nil {
			return fmt.Errorf("vocab: entry %d is no pair of a text and a score", id)
		}
		v.scored = append(v.scored, s)
	}
	return nil
}
