// Package layout finds the configurations and splits of a folder with data files, by
// the names of the files and by the card of the Hugging Face Hub.
//
// # Configurations
//
// A card, README.md, names them under "configs:", each with the patterns of its data
// files. In a folder without a card, its folders are the configurations that can be
// named; if none is named, all files are read together, as the Hub does.
//
// # Splits
//
// Without a card they follow from the names, as on the Hub: data/NAME-00000-of-00002.…
// is a part of the split NAME. Otherwise a word of the file's name, or else of the
// names of its folders, says it: train and training; validation, valid, val and dev;
// test, testing, eval and evaluation. Files without such a word are one split without
// a name; the Hub calls it train.
package layout
