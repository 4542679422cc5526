package userfolder

import (
	"errors"
	"os"
	"runtime"
	"testing"
)

// TestWithoutHome: without HOME, or with one that is no home, the folders are those of the account; an
// account without a home has none, and nothing begins at the root of the machine.
func TestWithoutHome(t *testing.T) {
	usual := account
	t.Cleanup(func() { account = usual })
	for _, name := range []string{"XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"} {
		t.Setenv(name, "")
	}
	cache := "/people/ada/.cache"
	if runtime.GOOS == "darwin" {
		cache = "/people/ada/Library/Caches"
	}
	t.Setenv("HOME", "")
	for name, unset := range map[string]func(){
		"empty": func() {},
		"/":     func() { t.Setenv("HOME", "/") },
		"unset": func() { _ = os.Unsetenv("HOME") },
	} {
		unset()
		account = func() string { return "/people/ada" }
		for want, folder := range map[string]func() (string, error){
			"/people/ada": Home, cache: Cache, "/people/ada/.config": Config, "/people/ada/.local/share": Data,
		} {
			if got, err := folder(); got != want || err != nil {
				t.Errorf("HOME %s: %q, %v, want %s", name, got, err, want)
			}
		}
		for _, none := range []string{"", "/"} {
			account = func() string { return none }
			for _, folder := range []func() (string, error){Home, Cache, Config, Data} {
				if got, err := folder(); got != "" || !errors.Is(err, ErrNone) {
					t.Errorf("HOME %s, account %q: %q, %v", name, none, got, err)
				}
			}
		}
	}
	t.Setenv("HOME", "/people/grace")
	if got, err := Home(); got != "/people/grace" || err != nil {
		t.Errorf("with HOME: %q, %v", got, err)
	}
}
