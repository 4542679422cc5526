package main

import "testing"

// TestPackagesHaveOneComment holds that each package says what it is for, once.
func TestPackagesHaveOneComment(t *testing.T) {
	t.Parallel()
	comments := map[string]int{}
	eachFile(t, func(f file) {
		if f.isTest() {
			return
		}
		dir := f.dir() + " " + f.syntax.Name.Name
		n := 0
		if f.syntax.Doc != nil {
			n = 1
		}
		comments[dir] += n
	})
	for dir, n := range comments {
		if n != 1 {
			t.Errorf("package %s has %d comments", dir, n)
		}
	}
}
