package firsthour

import (
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	becomeShell()
	status := m.Run()
	if err := programs.Remove(); err != nil && status == 0 {
		status = 1
	}
	os.Exit(status)
}
