package spec

import (
	"fmt"
	"regexp"
	"strings"
)

// MaxHubName is the longest name of a repository on the Hub, without its owner.
const MaxHubName = 96

var hubWord = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?$`)

// CheckHubRepository returns an error for a text that is no owner/name of a repository
// on the Hub. Source: huggingface_hub, utils/_validators.py.
func CheckHubRepository(id string) error {
	owner, name, ok := strings.Cut(id, "/")
	if !ok || isNoHubWord(owner) || isNoHubWord(name) || strings.HasSuffix(name, ".git") {
		return fmt.Errorf("want owner/name, the name of 1 to %d letters, digits and -, _ or . between them, without -- and .. and not ending with .git", MaxHubName)
	}
	return nil
}

// CheckHubOwner returns an error for a text that is no account or organisation of the
// Hub.
func CheckHubOwner(owner string) error {
	if isNoHubWord(owner) {
		return fmt.Errorf("want the name of an account or an organisation: 1 to %d letters, digits and -, _ or . between them, without -- and ..", MaxHubName)
	}
	return nil
}

func isNoHubWord(s string) bool {
	return len(s) > MaxHubName || !hubWord.MatchString(s) || strings.Contains(s, "--") || strings.Contains(s, "..")
}

// hubNames finds names that the Hub does not take, before anything is trained.
func (c *checker) hubNames(model string, owners map[string]string) {
	if model != "" {
		full := model
		if !strings.Contains(full, "/") {
			full = "x/" + full // the token's user owns it
		}
		if err := CheckHubRepository(full); err != nil {
			c.require(false, "fine_tuner.hub_model_id", fmt.Sprintf("%.200q", model), "is no repository of the Hub", strings.TrimPrefix(err.Error(), "want "))
		}
	}
	for key, owner := range owners {
		const longest = 200 // a longer one is a fault by its size
		if owner == "" || len(owner) > longest {
			continue
		}
		if err := CheckHubOwner(owner); err != nil {
			c.require(false, key, fmt.Sprintf("%q", owner), "is no account of the Hub", strings.TrimPrefix(err.Error(), "want "))
		}
	}
}
