// Package modelcmd has the commands on the model that a run tuned: export writes
// it to a folder, chat talks with it.
package modelcmd
