// Package pattern cuts texts at the matches of the regular expressions of tokenizers,
// which are written for Oniguruma with Ruby's syntax.
//
//	s, err := pattern.New(`\d{1,3}|\s+(?!\S)|\s+`)
//	ends := s.Split(text, 0, nil)
//
// Go's package regexp knows most of this syntax, but some of it means something else
// there: \d, \w and \s are those of ASCII in Go and those of Unicode in Oniguruma, (?m)
// lets a dot match the end of a line, and [ inside of a class begins another class.
// These are translated, or refused.
//
// # What is refused
//
// Go's expressions never go back, so that what needs that is refused by name: looks
// ahead and behind, atomic groups, and references to groups. There are two exceptions,
// which most tokenizers have: `\s+(?!\S)|\s+`, and possessive repetitions where going
// back could change nothing. Whatever looks at the text around a match, such as ^ and
// \b, is refused too, since matching goes on from the middle of a text.
package pattern
