package main

import (
	"fmt"
	"strings"

	"github.com/tunebus/tunebus/llm/internal/kernel/gen/assembly"
)

// longest is how many numbers a call works on at most. The program cannot
// interrupt a call, so that it must not take longer than some microseconds.
const longest = 2048

// declareVector declares a kernel for each machine, and the function that calls the
// one for this machine.
func declareVector(d *assembly.Declarations, k kernel) {
	var params, full, call []string
	for _, n := range k.moving {
		params = append(params, n)
		call = append(call, fmt.Sprintf("unsafe.Add(%s, 4*at)", n))
	}
	list := "n int, " + strings.Join(params, ", ") + " unsafe.Pointer"
	if k.sums {
		full, call = append(full, "sums *[16]float32"), append(call, "sums")
	}
	if k.table {
		full, call = append(full, "table *adamTable"), append(call, "table")
	}
	if len(k.scalars) > 0 {
		full = append(full, strings.Join(k.scalars, ", ")+" float32")
		call = append(call, k.scalars...)
	}
	if len(full) > 0 {
		list += ", " + strings.Join(full, ", ")
	}
	for _, m := range assembly.Machines() {
		d.Of(m).Function(k.name+m.Name, list)
	}
	arguments := strings.Join(call, ", ")
	fmt.Fprintf(&d.AMD64.Calls, `func %[1]sVector(%[2]s) {
	for at := 0; at < n; at += %[4]d {
		part := min(n-at, %[4]d)
		if path == AVX512 {
			%[1]s512(part, %[3]s)
		} else {
			%[1]s256(part, %[3]s)
		}
	}
}

`, k.name, list, arguments, longest)
	fmt.Fprintf(&d.ARM64.Calls, `func %[1]sVector(%[2]s) {
	for at := 0; at < n; at += %[4]d {
		part := min(n-at, %[4]d)
		%[1]s128(part, %[3]s)
	}
}

`, k.name, list, arguments, longest)
	fmt.Fprintf(&d.Empty, "func %sVector(%s) {}\n\n", k.name, list)
}
