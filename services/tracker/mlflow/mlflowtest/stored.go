package mlflowtest

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
)

// Stored is a run as a store holds it.
type Stored struct {
	Name       string
	Status     string
	Start, End int64
	Params     map[string]string
	Tags       map[string]string
	Metrics    map[string][]string // each a [PointLine], sorted
	Inputs     []string            // "<name> <digest> <context>", sorted
}

// Reader reads what a target wrote, without the target.
type Reader interface {
	Read(t *testing.T, experimentID, runID string) Stored
	Artifact(t *testing.T, experimentID, runID, path string) string
	// Alias is the version that an alias of a registered model leads to.
	Alias(t *testing.T, name, alias string) string
}

// PointLine is a metric point as "<ms> <value> <step>", in one spelling for
// all stores, of which some hold infinities as the largest number.
func PointLine(ms int64, value string, step int64) string {
	if v, err := strconv.ParseFloat(value, 64); err == nil {
		switch {
		case math.IsNaN(v):
			value = "nan"
		case math.IsInf(v, 0):
			value = fmt.Sprint(math.Copysign(math.MaxFloat64, v))
		case v == 0:
			value = "0"
		default:
			value = fmt.Sprint(v)
		}
	}
	return fmt.Sprintf("%d %s %d", ms, value, step)
}

// NormalLine is [PointLine] of a text "<ms> <value> <step>". It returns another
// text unchanged, which then equals no such line.
func NormalLine(text string) string {
	var ms, step int64
	var value string
	if _, err := fmt.Sscanf(strings.TrimSuffix(text, "\n"), "%d %s %d", &ms, &value, &step); err != nil {
		return text
	}
	return PointLine(ms, value, step)
}
