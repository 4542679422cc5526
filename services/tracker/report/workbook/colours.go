package workbook

import (
	"strconv"

	"github.com/xuri/excelize/v2"

	"github.com/tunebus/tunebus/services/tracker/report/scores"
)

// scale is the range of scores over which colours go from red to green.
type scale struct{ low, high float64 }

// scales are those of a workbook: scores from 0 to 1 have one scale, all others
// another, so that equal scores have the same colour in every column.
type scales struct{ unit, other scale }

func scalesOf(metrics []scores.Metric) scales {
	s := scales{unit: scale{low: 0, high: 1}, other: scale{low: 0, high: 100}}
	for _, m := range metrics {
		if edges := m.Histogram.Edges; len(edges) > 0 { // most other scores are from 0 to 100
			s.other.low, s.other.high = min(s.other.low, edges[0]), max(s.other.high, edges[len(edges)-1])
		}
	}
	return s
}

// of returns the scale of a metric; nil if it has no scores.
func (s scales) of(m scores.Metric) *scale {
	edges := m.Histogram.Edges
	switch {
	case len(edges) == 0:
		return nil
	case edges[0] >= 0 && edges[len(edges)-1] <= 1:
		return &s.unit
	default:
		return &s.other
	}
}

// colour colours cells by their values.
func (s scale) colour(file *excelize.File, sheet, cells string) error {
	text := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	return file.SetConditionalFormat(sheet, cells, []excelize.ConditionalFormatOptions{{
		Type: "3_color_scale", Criteria: "=",
		MinType: "num", MidType: "num", MaxType: "num",
		MinValue: text(s.low), MidValue: text((s.low + s.high) / 2), MaxValue: text(s.high),
		MinColor: "#F8A5A0", MidColor: "#FFF0B3", MaxColor: "#A9D8A5",
	}})
}
