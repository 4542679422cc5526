package tracker

import (
	"time"

	"github.com/tunebus/tunebus/events"
)

// Home is where the runs of a data folder are reported and tracked that were asked for before a
// time: another process had the services then.
type Home struct {
	Until time.Time
	// Reports is the folder of the reports, and TrackingURI the address of MLflow for runs
	// whose specification names none.
	Reports, TrackingURI string
}

// homeOf is where a run is reported and tracked.
func (c Config) homeOf(run events.Run) Home {
	var requested time.Time
	if run.Accepted != nil {
		requested = run.Accepted.RequestedAt
	}
	for _, h := range c.Homes {
		if !requested.IsZero() && requested.Before(h.Until) {
			return h
		}
	}
	return Home{Reports: c.Reports, TrackingURI: c.TrackingURI}
}
