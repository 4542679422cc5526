package engine

// Builtin is the name of the engine that tunebus ships for each phase. A
// specification names an engine by its key engine; the jobs of the engine wait
// in the queue of that name, unless the key queue names another one.
const Builtin = "builtin"
