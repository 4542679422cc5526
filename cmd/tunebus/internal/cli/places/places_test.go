package places_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/places"
	"github.com/tunebus/tunebus/pipeline/settings"
)

// usual are the settings of a person who says nothing.
func usual(t *testing.T, data string) settings.Settings {
	t.Helper()
	cfg, err := settings.Load(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Data.Folder = data
	return cfg
}

// use reads the places of a data folder into settings.
func use(t *testing.T, cfg *settings.Settings) places.Places {
	t.Helper()
	before, err := places.Read(cfg.Data.Folder)
	if err != nil {
		t.Fatal(err)
	}
	used, err := before.Use(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return used
}

// TestRemember: what one command used is used by the next, from any working folder and behind
// a move of all folders together. What a person says counts more.
func TestRemember(t *testing.T) {
	dir := t.TempDir()
	here, elsewhere := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	for _, folder := range []string{filepath.Join(here, "k", "data"), elsewhere} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(here)
	first := usual(t, "k/data")
	first.Tracker.Reports, first.Tracker.TrackingURI, first.Artifacts.URL = "k/my reports", "file:./k/ml 1%25", "s3://bucket/x"
	if err := places.Remember(first); err != nil {
		t.Fatal(err)
	}
	cfg := usual(t, "k/data")
	used := use(t, &cfg)
	if cfg.Tracker.Reports != "k/my reports" || cfg.Tracker.TrackingURI != "file:./k/ml%201%25" || cfg.Artifacts.URL != "s3://bucket/x" {
		t.Errorf("%+v, %+v", cfg.Tracker, cfg.Artifacts)
	}
	want := "as before on the data folder k/data, reports go to k/my reports, and tracking goes to file:./k/ml%201%25, and artifacts lie in s3://bucket/x; " +
		"to change that, give --reports or --tracking-uri or artifacts.url of the settings"
	if got := used.Text("k/data"); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	said := usual(t, "k/data")
	said.Tracker.Reports, said.Tracker.TrackingURI, said.Artifacts.URL = "r2", "http://ml.example", "jetstream://b"
	if used := use(t, &said); used.Text("") != "" || said.Tracker.Reports != "r2" || said.Tracker.TrackingURI != "http://ml.example" || said.Artifacts.URL != "jetstream://b" {
		t.Errorf("%+v, %+v", used, said.Tracker)
	}

	moved := filepath.Join(dir, "moved")
	t.Chdir(elsewhere)
	if err := os.Rename(here, moved); err != nil {
		t.Fatal(err)
	}
	cfg = usual(t, filepath.Join(moved, "k", "data"))
	use(t, &cfg)
	if cfg.Tracker.Reports != filepath.Join(moved, "k", "my reports") || cfg.Tracker.TrackingURI != "file://"+moved+"/k/ml%201%25" {
		t.Errorf("behind the move %+v", cfg.Tracker)
	}
}

// TestHomes: runs stay in the places that they had when they were asked for, where those can be
// written and are on this machine; what cannot stay is said.
func TestHomes(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, folder := range []string{"data", "one", "three"} {
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	cfg := usual(t, "data")
	var at []time.Time
	for _, place := range [][2]string{{"one", "file:./ml1"}, {"gone/two", "http://ml.example"}, {"three", "http://other.example/x"}, {"three", "http://other.example/y"}} {
		cfg.Tracker.Reports, cfg.Tracker.TrackingURI = place[0], place[1]
		if err := places.Remember(cfg); err != nil {
			t.Fatal(err)
		}
		at = append(at, time.Now())
	}
	before, err := places.Read("data")
	if err != nil {
		t.Fatal(err)
	}
	homes, err := before.Homes(cfg, time.Now())
	if err != nil || len(homes) != 4 {
		t.Fatalf("%+v, %v", homes, err)
	}
	for i, want := range [][2]string{{"one", "file:./ml1"}, {"three", "http://other.example/y"}, {"three", "http://other.example/x"}, {"three", "http://other.example/y"}} {
		h := homes[i]
		if h.Reports != want[0] || h.TrackingURI != want[1] || !at[i].Before(h.Until) || i > 0 && !homes[i-1].Until.Before(at[i]) {
			t.Errorf("%d: %+v, want %v", i, h, want)
		}
		if (h.Moved != "") != (i == 1) {
			t.Errorf("%d: %q", i, h.Moved)
		}
	}
	want := "reports go to three from now on, and no more to gone/two (it is not there any more); " +
		"tracking goes to http://other.example/y from now on, and no more to http://ml.example (it is not on this machine)"
	if homes[1].Moved != want || homes[1].LeftReports != "gone/two" || homes[1].LeftTracking != "http://ml.example" {
		t.Errorf("%+v", homes[1])
	}
	folders, err := before.ReportFolders()
	if got := []string{filepath.Join(dir, "one"), filepath.Join(dir, "gone", "two"), filepath.Join(dir, "three")}; err != nil || !slices.Equal(folders, got) {
		t.Errorf("folders %q, %v", folders, err)
	}
	always := usual(t, "data2")
	if homes, err := (places.Places{}).Homes(always, time.Now()); err != nil || homes != nil {
		t.Errorf("of a folder that has only had the usual places: %+v, %v", homes, err)
	}
}

// TestStores: that artifacts lie in another store than before is said once, with the address
// of the earlier one, which is remembered.
func TestStores(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.Mkdir("data", 0o700); err != nil {
		t.Fatal(err)
	}
	own := "file://" + filepath.Join(dir, "data", "artifacts")
	for i, step := range []struct {
		store, moved string
		earlier      []string
	}{
		{"", "", nil},
		{"s3://u:secret@bucket/x", "artifacts lie in s3://xxxxx@bucket/x from now on; those of the runs before stay where they are: commands on these runs, such as export, need --artifacts " + own, []string{own}},
		{"s3://u:secret@bucket/x", "", []string{own}},
		{"", "artifacts lie in the data folder from now on; those of the runs before stay where they are: commands on these runs, such as export, need --artifacts s3://xxxxx@bucket/x", []string{"s3://xxxxx@bucket/x"}},
	} {
		cfg := usual(t, "data")
		cfg.Artifacts.URL = step.store
		before, err := places.Read("data")
		if err != nil {
			t.Fatal(err)
		}
		if moved, err := before.StoreMoved(cfg); err != nil || moved != step.moved {
			t.Errorf("%d: %q, %v, want %q", i, moved, err, step.moved)
		}
		if err := places.Remember(cfg); err != nil {
			t.Fatal(err)
		}
		if before, err = places.Read("data"); err != nil {
			t.Fatal(err)
		}
		if earlier, err := before.EarlierStores(); err != nil || !slices.Equal(earlier, step.earlier) {
			t.Errorf("%d: %q, %v, want %q", i, earlier, err, step.earlier)
		}
	}
}

// TestUsualPlaces: a person in the usual places is told nothing, and a folder without a file
// has none.
func TestUsualPlaces(t *testing.T) {
	t.Chdir(t.TempDir())
	cfg := usual(t, "tunebus-data")
	if used := use(t, &cfg); used.Text("tunebus-data") != "" {
		t.Errorf("%+v", used)
	}
	if err := os.Mkdir("tunebus-data", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := places.Remember(cfg); err != nil {
		t.Fatal(err)
	}
	again := usual(t, "tunebus-data")
	if used := use(t, &again); used.Text("tunebus-data") != "" || again.Tracker.Reports != "reports" {
		t.Errorf("%+v, %+v", used, again.Tracker)
	}
}

// TestBadFile: a file that tunebus did not write is an error that names it.
func TestBadFile(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "{", "[]", `{"reports": 1}`, `{"tracking_uri": "http://u:p@host"}`, `{"tracking_uri": "file:?"}`, `{"artifacts": "file:"}`, strings.Repeat(" ", 1<<17)} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "places.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg := usual(t, dir)
		before, err := places.Read(dir)
		if err == nil {
			_, err = before.Use(&cfg)
		}
		if err == nil || !strings.Contains(err.Error(), "places.json") || strings.Contains(err.Error(), "u:p") {
			t.Errorf("%.40q: %v", text, err)
		}
	}
}
