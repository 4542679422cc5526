package storeusers_test

import (
	"strings"
	"testing"

	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/folderaddress"
	"github.com/tunebus/tunebus/pipeline/storeusers"
)

// TestOthers: each user finds the others, however long their paths are and however often they
// register. What was at the place of a user before it is none.
func TestOthers(t *testing.T) {
	t.Parallel()
	store, err := artifact.Open(t.Context(), folderaddress.Of(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	long := "/" + strings.Repeat("a long name/ä", 100) + "/the end"
	users := []storeusers.User{
		{ID: "1", Host: "h", Folder: "/data"},
		{ID: "2", Host: "h", Folder: "/data"}, // made anew
		{ID: "3", Host: "other", Folder: "/data"},
		{ID: "4", Host: "h", Folder: long},
		{ID: "5", Server: "nats:4222"},
	}
	for range 2 {
		for _, u := range users {
			if err := storeusers.Register(t.Context(), store, u); err != nil {
				t.Fatal(err)
			}
		}
	}
	for mine, want := range map[string]string{"2": "345", "5": "1234", "none": "12345"} {
		others, err := storeusers.Others(t.Context(), store, mine)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, u := range others {
			got += u.ID
			if u.ID == "4" && (!strings.HasSuffix(u.Folder, "/the end") || !strings.HasPrefix(u.Folder, "…")) {
				t.Errorf("a long path: %s", u)
			}
			if u.ID == "5" && u.String() != "the NATS server nats:4222" {
				t.Errorf("a server: %s", u)
			}
		}
		if got != want {
			t.Errorf("beside %s: %s, want %s", mine, got, want)
		}
	}
	text := (&storeusers.SharedError{Others: []storeusers.User{{ID: "3", Key: "users/3/x", Host: "other", Folder: "/data"}}}).Error()
	if !strings.HasSuffix(text, ": the data folder /data of the machine other (its object users/3/x)") {
		t.Error(text)
	}
}
