package weight

import "github.com/tunebus/tunebus/llm/internal/kernel"

// padded is how many outputs the panels of so many have.
func padded(out int) int {
	return (out + kernel.PanelColumns - 1) / kernel.PanelColumns * kernel.PanelColumns
}

// SixteenSize is how many bytes a [Sixteen] takes.
func SixteenSize(out, in int) int { return 2 * padded(out) * in }

// BytesSize is how many bytes a [Bytes] takes.
func BytesSize(out, in, group int) int {
	return padded(out)*in + 4*padded(out)*(in/divisor(in, group))
}

// NibblesSize is how many bytes a [Nibbles] takes whose factors are nested in blocks of so
// many; 0: they are numbers.
func NibblesSize(out, in, block, nested int) int {
	groups := padded(out) * (in / divisor(in, block))
	if nested == 0 {
		return padded(out)*in/2 + 4*groups
	}
	blocks := (out*in + block - 1) / block
	return padded(out)*in/2 + groups + 4*((blocks+nested-1)/nested)
}

// NF4Size is how many bytes [QuantiseNF4] makes.
func NF4Size(out, in int) int { return NibblesSize(out, in, NF4Block, nestedBlock) }
