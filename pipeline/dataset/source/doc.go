// Package source has the names of data sets: how a specification names one, and
// where it is on this machine.
//
// # Grammar
//
// A data set is a file, a folder, or an id of the Hugging Face Hub, and may have a
// selection behind a colon:
//
//	train.jsonl               a file
//	data                      a folder
//	owner/name                an id
//	owner/name@revision       an id at a branch, a tag or a commit
//	data:hard                 the configuration "hard", or else the split "hard"
//	owner/name:main/test      the configuration "main", and of it the split "test"
//	owner/name@v2:/test       the split "test" of the only or the default configuration
//
// A name alone behind the colon is a configuration if there is one of that name,
// and else a split. A file has neither. The colon of a path that has one itself,
// such as a:b.jsonl, is no selection where the name behind it ends as a data file
// does.
package source
