package dataset

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// shardName is the name of a part of a file, as the library datasets writes it.
var shardName = regexp.MustCompile(`^(.*)-(\d{5})-of-(\d{5})(\.[^/]*)$`)

// checkShards returns an error for files of which one is there twice, packed and
// unpacked, or that are parts of a file of which others are missing. files are those
// that are read, of all those of the folder. A card may choose some of the parts.
func checkShards(files, all []string, hasCard bool) error {
	unpacked := map[string]string{}
	for _, name := range files {
		plain := strings.TrimSuffix(strings.TrimSuffix(name, ".gz"), ".zst")
		if other, twice := unpacked[plain]; twice {
			return fmt.Errorf("%s and %s are both there, so that each row would be read twice; remove one of them", other, name)
		}
		unpacked[plain] = name
		if hasCard {
			continue
		}
		if gone := missingShard(name, all); gone != "" {
			return fmt.Errorf("%s is a part of a file, and %s is not there; copy or download all parts", name, gone)
		}
	}
	return nil
}

// missingShard returns the first part that is missing beside one.
func missingShard(name string, all []string) string {
	m := shardName.FindStringSubmatch(name)
	if m == nil {
		return ""
	}
	total, err := strconv.Atoi(m[3])
	if err != nil {
		return ""
	}
	for i := range total {
		if part := fmt.Sprintf("%s-%05d-of-%s%s", m[1], i, m[3], m[4]); !slices.Contains(all, part) {
			return path.Base(part)
		}
	}
	return ""
}
