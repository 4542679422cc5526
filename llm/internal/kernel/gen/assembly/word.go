package assembly

import (
	"fmt"
	"strconv"
	"strings"
)

// The words of instructions that Go's assembler has no name for, of vectors of four
// float32 (Arm Architecture Reference Manual, C7.2): the second operand is shifted by
// 16 bits, the first by 5.
const (
	FAdd   = 0x4e20d400
	FSub   = 0x4ea0d400
	FMul   = 0x6e20dc00
	FDiv   = 0x6e20fc00
	FSqrt  = 0x6ea1f800
	FCmgt  = 0x6ea0e400
	Bsl    = 0x6e601c00 // of bits
	FMla   = 0x4e20cc00
	FMls   = 0x4ea0cc00
	FMla0  = 0x4f801000 // the second operand is number 0 of its vector
	Shll   = 0x2e613800 // four halves to the upper halves of words
	Shll2  = 0x6e613800 // the last four of eight
	FCvtl  = 0x0e217800 // four float16
	FCvtl2 = 0x4e217800
	FCvtn  = 0x0e216800
	SxtlB  = 0x0f08a400 // eight bytes to halves
	SxtlB2 = 0x4f08a400
	SxtlH  = 0x0f10a400 // four halves to words
	SxtlH2 = 0x4f10a400
	SCvtf  = 0x4e21d800
)

// Word writes an instruction d = a ∘ b by its word.
func (l *Listing) Word(base uint32, d, a, b string) {
	w := base | uint32(register(a))<<5 | uint32(register(d))
	if b != "" {
		w |= uint32(register(b)) << 16
	}
	l.Put("WORD $0x%08x", w)
}

// register is the number of a vector register.
func register(name string) int {
	n, err := strconv.Atoi(strings.TrimPrefix(name, "V"))
	if err != nil {
		panic("no register: " + name)
	}
	return n
}

// ScalarName is a vector register as instructions that take a part of it name it.
func ScalarName(r string) string { return "F" + strings.TrimPrefix(r, "V") }

// Registers are the four registers from one on, as a list of the assembler.
func Registers(first int) string {
	return fmt.Sprintf("[V%d.S4, V%d.S4, V%d.S4, V%d.S4]", first, first+1, first+2, first+3)
}
