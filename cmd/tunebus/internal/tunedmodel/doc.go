// Package tunedmodel finds the model that a run tuned and the base model under
// it, and brings both to folders of this machine.
//
//	model, err := tunedmodel.Of(run)
//	…
//	files := tunedmodel.Source{Files: transfer.New(store), Hub: hub}
//	err = files.Fetch(ctx, model.Reference, "/scratch/tuned")
//	base, err := files.BaseFolder(ctx, model, "/scratch/base")
package tunedmodel
