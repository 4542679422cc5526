// Package weight keeps weights that nothing changes in fewer bits than float32 has:
// as float16, as whole numbers of eight bits, or as indices of four bits, with
// factors for groups of inputs. What they mean in float32 is defined for each type,
// and the products of package kernel are those with these numbers.
//
// Numbers lie in panels of 32 outputs, see [kernel.Panels]. Files have them row by
// row; they are brought into panels as they are read.
package weight
