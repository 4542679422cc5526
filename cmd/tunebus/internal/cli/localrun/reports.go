package localrun

import (
	"context"
	"sync"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/services/tracker"
	"github.com/tunebus/tunebus/services/tracker/report"
)

// reportsBegin is how long a run that has ended waits for its reports to be begun.
// Facts that cannot be read keep the tracker from it for longer.
const reportsBegin = 30 * time.Second

// localReports knows whether the reports of a run are written. The process must not
// end in the middle of them: a workbook of many rows takes longer than one waits
// for MLflow.
type localReports struct {
	run   string
	begun chan struct{} // closed when the writing begins
	done  chan struct{} // closed when it ended
	err   error         // of the writing; to be read behind done

	begin, end sync.Once
}

func newLocalReports(run string) *localReports {
	return &localReports{run: run, begun: make(chan struct{}), done: make(chan struct{})}
}

// watch has the tracker say when it writes the reports of the run.
func (l *localReports) watch(c *tracker.Config) {
	write := c.Write
	if write == nil {
		write = report.Write
	}
	c.Write = func(ctx context.Context, dir string, r report.Report) ([]report.File, error) {
		if r.Run.ID != l.run {
			return write(ctx, dir, r)
		}
		l.begin.Do(func() { close(l.begun) })
		files, err := write(ctx, dir, r)
		l.end.Do(func() {
			l.err = err
			close(l.done)
		})
		return files, err
	}
}

// wait waits until the reports are written. It says so if that takes a while, and
// if they could not be written. failed reports that they are not there.
func (l *localReports) wait(ctx context.Context, console *view.Console) (failed bool) {
	limit := time.NewTimer(reportsBegin)
	defer limit.Stop()
	select {
	case <-l.begun:
	case <-limit.C:
		console.Say("the reports of the run are not written yet; the next run or up on this data folder writes them")
		return true
	case <-ctx.Done():
		return false
	}
	patience := time.NewTimer(time.Second)
	defer patience.Stop()
	for {
		select {
		case <-l.done:
			if l.err != nil {
				console.Say("the reports of the run were not written: %v", l.err)
			}
			return l.err != nil
		case <-patience.C:
			console.Say("writing the reports of the run")
		case <-ctx.Done():
			return false
		}
	}
}
