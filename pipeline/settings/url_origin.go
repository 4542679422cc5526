package settings

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/tunebus/tunebus/pipeline/folderaddress"
)

// Origin returns the scheme, host and port of an address as browsers compare them:
// in lower case, without the default port of the scheme. A credential belongs to
// one origin (RFC 6454, section 4). The error does not contain the address, which
// may have a secret.
func Origin(address string) (string, error) {
	if strings.Contains(address, "@") { // also behind the host: a password may hold a "/"
		return "", fmt.Errorf("an address must not hold a user or password; the section credentials does; write %%40 for an @ in a path")
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", fmt.Errorf("want an address such as https://host or http://host:port")
	}
	host := strings.ToLower(u.Host)
	host = strings.TrimSuffix(host, map[string]string{"http": ":80", "https": ":443"}[u.Scheme])
	return u.Scheme + "://" + host, nil
}

// TrackingAddress says what is wrong with an address of MLflow; nil: nothing. The
// error does not contain the address, which may have a secret.
func TrackingAddress(uri string) error {
	if folderaddress.Is(uri) {
		_, err := folderaddress.Folder(uri)
		return err
	}
	if strings.Contains(uri, "?") { // it would be in the reports
		return fmt.Errorf("an address of MLflow must not hold a query; the section credentials has its user, password or token")
	}
	if strings.Contains(uri, "#") { // it says nothing to a server
		return fmt.Errorf("an address of MLflow must not hold a fragment (#); the section credentials has its user, password or token")
	}
	_, err := Origin(uri)
	return err
}

// Redacted returns an address, or several with commas between them, as it may be
// printed: "xxxxx" stands where a user and a password were.
func Redacted(address string) string {
	parts := strings.Split(address, "://")
	for i, part := range parts {
		if i == 0 && len(parts) > 1 {
			continue // the scheme
		}
		// The last @ counts: one in a password that is not escaped hides nothing.
		if at := strings.LastIndexByte(part, '@'); at >= 0 {
			parts[i] = "xxxxx" + part[at:]
		}
	}
	return strings.Join(parts, "://")
}

// Key returns the credential for the address of a judge, by its origin, or "" if
// there is none. getenv reads the variables that credentials.keys names.
func (s Settings) Key(address string, getenv func(string) string) string {
	if key := s.ListedKey(address, getenv); key != "" {
		return key
	}
	if SameOrigin(address, s.Evaluation.JudgeBaseURL) {
		return s.Credentials.OpenAIKey
	}
	return ""
}

// ListedKey returns the key that credentials.keys names for the origin of an
// address, or "" if there is none.
func (s Settings) ListedKey(address string, getenv func(string) string) string {
	for _, k := range s.Credentials.Keys {
		if origin, name, _ := strings.Cut(k, "="); SameOrigin(origin, address) {
			return getenv(name)
		}
	}
	return ""
}

// SameOrigin reports whether two addresses have the same origin.
func SameOrigin(a, b string) bool {
	one, err := Origin(a)
	if err != nil {
		return false
	}
	other, err := Origin(b)
	return err == nil && one == other
}
