package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// fewMethods is how many methods a type has that the table leaves out.
const fewMethods = 5

// printTables writes the tables, largest first, and the sums.
func printTables(w io.Writer, packages []*pkg) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	printTypes(t, packages)
	printPackages(t, packages)
	printImports(t, packages)
	printSums(t, packages)
	return t.Flush()
}

func printTypes(w io.Writer, packages []*pkg) {
	type row struct {
		name    string
		methods int
	}
	var rows []row
	for _, p := range packages {
		for name := range p.types {
			if n := p.methods(name); n > fewMethods {
				rows = append(rows, row{p.dir + "." + name, n})
			}
		}
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Or(b.methods-a.methods, cmp.Compare(a.name, b.name)) })
	fmt.Fprintf(w, "METHODS\tTYPE (those with more than %d)\n", fewMethods)
	for _, r := range rows {
		fmt.Fprintf(w, "%d\t%s\n", r.methods, r.name)
	}
}

func printPackages(w io.Writer, packages []*pkg) {
	users := map[string]int{}
	for _, p := range packages {
		for _, dir := range p.ours() {
			users[dir]++
		}
	}
	fmt.Fprint(w, "\nLINES\tFILES\tIMPORTED BY\tPACKAGE\n")
	bySize := slices.SortedFunc(slices.Values(packages), func(a, b *pkg) int { return cmp.Or(b.lines-a.lines, cmp.Compare(a.dir, b.dir)) })
	for _, p := range bySize {
		if p.files > 0 {
			fmt.Fprintf(w, "%d\t%d\t%d\t%s\n", p.lines, p.files, users[p.dir], p.dir)
		}
	}
}

func printImports(w io.Writer, packages []*pkg) {
	fmt.Fprint(w, "\nIMPORTS\tPACKAGE\n")
	for _, p := range packages {
		if ours := p.ours(); len(ours) > 0 {
			fmt.Fprintf(w, "%d\t%s: %s\n", len(ours), p.dir, strings.Join(ours, " "))
		}
	}
}

func printSums(w io.Writer, packages []*pkg) {
	var sum pkg
	production, types, methods, imports := 0, 0, 0, 0
	for _, p := range packages {
		sum.lines += p.lines
		sum.files += p.files
		sum.testLines += p.testLines
		sum.testFiles += p.testFiles
		sum.generatedLines += p.generatedLines
		imports += len(p.ours())
		if p.files > 0 {
			production++
		}
		for _, t := range p.types {
			if len(t.methods) > 0 {
				types++
				methods += len(t.methods)
			}
		}
	}
	fmt.Fprint(w, "\nIN ALL\n")
	fmt.Fprintf(w, "%d\tpackages\n%d\tfiles\n%d\tlines\n", production, sum.files, sum.lines)
	fmt.Fprintf(w, "%d\ttypes with methods\n%d\tmethods\n%d\timports between packages\n", types, methods, imports)
	fmt.Fprintf(w, "%d\ttest files\n%d\tlines of tests\n%d\tgenerated lines\n", sum.testFiles, sum.testLines, sum.generatedLines)
}
