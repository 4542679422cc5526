package progress

import (
	"bytes"
	"context"
	"runtime/pprof"
	"strings"

	"github.com/tunebus/tunebus/events"
)

// jobLabel is the label of the goroutines of a job.
const jobLabel = "tunebus_job"

// Labelled runs the work of a job, so that [Stacks] finds its goroutines, and those
// that they start.
func Labelled(ctx context.Context, job string, do func(ctx context.Context)) {
	pprof.Do(ctx, pprof.Labels(jobLabel, job), do)
}

// maxStacks is the size of [Stacks] in bytes.
const maxStacks = 16 << 10

// Stacks are the stacks of the goroutines of a job, of each kind of stack one, up to
// 16 KiB. It leaves out the goroutine that calls it.
func Stacks(job string) string {
	var all bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&all, 1); err != nil {
		return err.Error()
	}
	label := `"` + jobLabel + `":"` + job + `"`
	var out strings.Builder
	for stack := range strings.SplitSeq(all.String(), "\n\n") {
		if strings.Contains(stack, label) && !strings.Contains(stack, "progress.Stacks+") {
			out.WriteString(readable(stack))
		}
	}
	return events.Cut(out.String(), maxStacks)
}

// readable turns a stack of the profile into one line for each function: its name, and
// its file and line.
func readable(stack string) string {
	const most = 40 // the outermost functions say least
	var out strings.Builder
	count, _, _ := strings.Cut(stack, " ")
	out.WriteString(count + " goroutine(s):\n")
	lines := 0
	for line := range strings.Lines(stack) {
		fields := strings.Fields(line)
		if len(fields) < 4 || fields[0] != "#" || !strings.HasPrefix(fields[1], "0x") {
			continue
		}
		if lines++; lines > most {
			break
		}
		name, _, _ := strings.Cut(fields[2], "+0x")
		out.WriteString("  " + name + " " + fields[3] + "\n")
	}
	return out.String()
}
