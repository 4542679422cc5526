package completionapi_test

import (
	"encoding/json"
	"testing"

	"github.com/tunebus/tunebus/services/inference/chatserver/completionapi"
)

// TestTokensOfOneText: of tokens with the same text the chosen one, or else the likeliest,
// has it as its name, and the others have their bytes.
func TestTokensOfOneText(t *testing.T) {
	t.Parallel()
	token := func(text string, logprob float64, bytes ...byte) completionapi.Logprob {
		return completionapi.Logprob{Token: text, Logprob: logprob, Bytes: bytes}
	}
	first, second := token("\ufffd", -1, 0xe2), token("\ufffd", -2, 0x80, 0x99)
	all := []completionapi.Logprob{first, token("a", -1.5, 'a'), second, token("", -3), token("", -4), token("", -5)}
	for name, c := range map[string]struct {
		chosen completionapi.Logprob
		want   string
	}{
		"the likeliest": {first, `{"":-3,"a":-1.5,"bytes:":-4,"bytes:\\x80\\x99":-2,"�":-1}`},
		"another one":   {second, `{"":-3,"a":-1.5,"bytes:":-4,"bytes:\\xe2":-1,"�":-2}`},
		"one beyond":    {token("z", -9, 'z'), `{"":-3,"a":-1.5,"bytes:":-4,"bytes:\\x80\\x99":-2,"�":-1}`},
	} {
		p := completionapi.Piece{Logprobs: []completionapi.TokenLogprob{{Logprob: c.chosen, Top: all}}}
		body, err := json.Marshal(completionapi.Text{}.Next(completionapi.Header{}, p))
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Choices []struct {
				Logprobs struct {
					Top []json.RawMessage `json:"top_logprobs"`
				} `json:"logprobs"`
			} `json:"choices"`
		}
		if err := json.Unmarshal(body, &got); err != nil || string(got.Choices[0].Logprobs.Top[0]) != c.want {
			t.Errorf("%s: %s, %v\nwant %s", name, got.Choices[0].Logprobs.Top, err, c.want)
		}
	}
}
