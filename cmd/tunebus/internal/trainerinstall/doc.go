// Package trainerinstall makes the Python environments of the engines that the program
// brings along, and says what became of them.
//
//	env, err := trainerinstall.Install(ctx, trainerinstall.Options{Engine: trl, Folder: folder, ...})
//
// An environment is made beside its folder, under the folder's name with .partial behind
// it, and gets its name when everything is in it and its trainer has answered. So a folder
// is never half an environment, and one that is made anew is there until the new one is.
// One process at a time makes the environment of a folder.
//
// The parts, in the order in which they work: python.go finds an interpreter, make.go
// has uv or pip fill the folder, module.go adds the trainer, and relocate.go gives the
// folder its name. diagnose.go says what a failed command of others meant.
package trainerinstall
