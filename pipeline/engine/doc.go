// Package engine is the interface between a phase of a run and the code that
// does its work: training, generation or scoring.
//
// # Write an engine
//
// An engine is one method. It reads its inputs, works, reports progress, saves
// checkpoints, and returns what it made:
//
//	type Trainer struct{}
//
//	func (Trainer) Run(ctx context.Context, job *engine.Job) (engine.Result, error) {
//		s := job.Request.Specification.FineTuner
//		data, err := job.Dataset(ctx, "fine_tuner.training_data_id", s.TrainingDataID)
//		if err != nil {
//			return engine.Result{}, err
//		}
//		state, err := load(data, job.Resume.Dir) // Dir is empty: start at step 0
//		if err != nil {
//			return engine.Result{}, engine.Permanent("bad_dataset", err)
//		}
//		for step := job.Resume.Step + 1; step <= steps; step++ {
//			loss := state.train(step)
//			if err := job.Progress(ctx, step, steps, events.Point{Key: "loss", Value: loss}); err != nil {
//				return engine.Result{}, err
//			}
//			if step%100 == 0 {
//				if err := job.WriteCheckpoint(ctx, step, 2, state.write); err != nil {
//					return engine.Result{}, err
//				}
//			}
//		}
//		a, err := job.PutDir(ctx, events.ArtifactModel, state.modelDir)
//		return engine.Result{Artifacts: []events.Artifact{a}}, err
//	}
//
// A service gives the engine to a worker, see services/finetune/wire.go.
//
// # Progress
//
// The worker counts what a job gets done: bytes that it moves, steps that it
// reports with [Job.Progress], and rows and tokens that it counts with
// [Job.Advance]. A job that gets nothing done for longer than the settings allow
// for its stage ([Job.Stage]) goes to another worker. So an engine passes on the
// context that it got, names its stages, and announces what it waits for:
//
//	job.Stage(engine.StageLoad)
//	model := open(dir)
//	job.Stage(engine.StageTokenise)
//	for row := range rows {
//		…
//		job.Advance(1)
//	}
//	job.Stage(engine.StageTrain)
//	…
//	done := engine.Waiting(ctx, "the rate limit of the judge", 2*time.Minute)
//	defer done()
//
// # What the worker promises
//
// Run is called once for each attempt, on a goroutine of its own. An attempt
// that follows another one finds the newest checkpoint that verifies in
// [Job.Resume]. Artifacts lie below a prefix of the attempt, so that no two
// attempts write the same key. A full or unreachable artifact store is retried
// for a long time before [Job.PutFile] and its kin fail. A panic counts as an
// error.
//
// # What an engine owes
//
// It returns soon after its context ends, within half a second if it can. At a
// shutdown it may first save a last checkpoint: [Job.WriteCheckpoint] works
// after the end of the context, see [Job.Saving] for how long. An engine
// that ignores its context delays neither the end of the phase nor the
// shutdown, but it keeps its slot until it returns.
//
// # Errors
//
// An error is retried, unless [Permanent] marks it as one that every attempt
// would meet. A full disk, an unreachable server and a damaged transfer are
// retried even under that mark.
//
// # Tests
//
// embedded/workertest runs an engine on a real worker, with a NATS server and
// an artifact store in the test's process.
package engine
