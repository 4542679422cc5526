// Package storeaddress reads the addresses of artifact stores, such as s3://bucket.
//
//	u, name, err := storeaddress.Parse(address)
package storeaddress

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Parse reads an address. name is what may be printed of it. Errors hold neither the query nor
// the user of the address, because either may be a credential.
func Parse(address string) (u *url.URL, name string, err error) {
	u, err = url.Parse(address)
	if err != nil {
		// A url.Error prints the whole address, its cause does not.
		if parseErr, ok := errors.AsType[*url.Error](err); ok {
			err = parseErr.Err
		}
		return nil, "", fmt.Errorf("open artifact store: its address cannot be read: %w", err)
	}
	if u.User != nil {
		return nil, "", errors.New("open artifact store: its address holds a user or password; credentials come from the environment")
	}
	name = u.Scheme + "://" + u.Host
	if u.Scheme == "file" {
		name += u.Path
	}
	if u.Scheme == "" {
		name, _, _ = strings.Cut(address, "?")
	}
	return u, name, nil
}
