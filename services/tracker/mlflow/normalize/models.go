package normalize

import (
	"fmt"
	"strings"
)

// CheckModelName returns an error for a name that MLflow takes for no registered
// model.
func CheckModelName(name string) error {
	if name == "" || len(name) > 250 || name == "." || name == ".." || strings.ContainsAny(name, "/:\x00\n\\") {
		return fmt.Errorf("%q is no name of a registered model: it has 1 to 250 characters, and no / or : among them", name)
	}
	return nil
}
