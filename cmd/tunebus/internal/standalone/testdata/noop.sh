#!/usr/bin/env bash
# Runs BenchmarkNoopPipeline of this tree and of another commit in turns, so that what
# else the machine does meets both, and prints the medians: the wall clock of a run, and
# the processor time of the whole process with its start and its end.
#
#   noop.sh COMMIT ROUNDS RUNS
set -euo pipefail
commit=$1 rounds=$2 runs=$3
root=$(git rev-parse --show-toplevel)
work=$(mktemp -d)
trap 'git -C "$root" worktree remove --force "$work/tree" 2>/dev/null || true; rm -rf "$work"' EXIT
git -C "$root" worktree add --quiet --detach "$work/tree" "$commit"

compile() { # TREE NAME
	cd "$(dirname "$(grep -rl --include='*_test.go' 'func BenchmarkNoopPipeline' "$1/cmd/tunebus" | head -n 1)")"
	${GO:-go} test -c -o "$work/$2" .
}
(compile "$work/tree" before)
(compile "$root" now)

TIMEFORMAT='%U %S'
cd "$work"
for _ in $(seq "$rounds"); do
	for name in before now; do
		for kind in idle many; do
			TMPDIR=$work
			export TMPDIR
			{ time "./$name" -test.run '^$' -test.bench "Noop/default/$kind" -test.benchtime "${runs}x" >out 2>err; } 2>cpu || { cat out err; exit 1; }
			awk -v name="$name" -v kind="$kind" -v runs="$runs" -v cpu="$(tail -n 1 cpu)" '
				/ns\/op/ { split(cpu, c, " "); printf "%s %s %.3f %.3f\n", name, kind, $3 / 1e6, (c[1] + c[2]) * 1000 / runs }' out | tee -a rounds
		done
	done
done
echo "medians: wall clock and processor time, ms a run"
for name in before now; do
	for kind in idle many; do
		printf '%s %s' "$name" "$kind"
		for column in 3 4; do
			awk -v name="$name" -v kind="$kind" -v c="$column" '$1 == name && $2 == kind { print $c }' rounds | sort -n |
				awk '{ v[NR] = $1 } END { printf " %.3f", (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'
		done
		echo
	done
done
