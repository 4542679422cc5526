package redaction_test

import (
	"bytes"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/pipeline/redaction"
)

// TestAddresses: no address in a text shows a password, or a secret of its query; all else stays.
func TestAddresses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`key https://u:hush@h/x.jsonl: "https://u:hush@h/x.jsonl" is gone`: `key https://xxxxx@h/x.jsonl: "https://xxxxx@h/x.jsonl" is gone`,
		"http://h:1/?token=hush&page=2 does not answer":                    "http://h:1/?token=xxxxx&page=2 does not answer",
		"s3://b?region=eu&secret_key=hush":                                 "s3://b?region=eu&secret_key=xxxxx",
		"https://h/x?key=hush#top":                                         "https://h/x?key=xxxxx#top",
		"https://h/x?sv=1&sig=hush&X-Amz-Signature=hush&X-Amz-Date=1":      "https://h/x?sv=1&sig=xxxxx&X-Amz-Signature=xxxxx&X-Amz-Date=1",
		"mail ann@host, owner/name@main, https://h/name@v1":                "mail ann@host, owner/name@main, https://h/name@v1",
		"file:///srv/a@b?, https://h/?design=1":                            "file:///srv/a@b?, https://h/?design=1",
		"no address? token=hush":                                           "no address? token=hush",
	} {
		if got := redaction.Addresses(text); got != want {
			t.Errorf("%s became %s, want %s", text, got, want)
		}
		if redaction.HasSecret(text) != (text != want) {
			t.Errorf("HasSecret of %s", text)
		}
	}
	if got := redaction.AddressesOfEach([]string{"a", "s3://k:hush@b"}); !slices.Equal(got, []string{"a", "s3://xxxxx@b"}) || redaction.AddressesOfEach(nil) != nil {
		t.Errorf("%q", got)
	}
}

// TestInLog: a line of a log has no secret of an address, in whatever attribute.
func TestInLog(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	log := slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{ReplaceAttr: redaction.InLog})).With("at", "http://u:hush@h")
	log.Warn("s3://k:hush@b is away", "error", errors.New("get http://h/?token=hush"), "urls", []string{"http://u:hush@h"}, "n", 3, slog.Group("g", "x", "http://u:hush@h"))
	if line := b.String(); strings.Contains(line, "hush") || !strings.Contains(line, "n=3") || strings.Count(line, "xxxxx") != 5 {
		t.Error(line)
	}
}
