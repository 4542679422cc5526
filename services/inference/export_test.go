package inference

// WithWindow is the engine with so many rows in memory at once.
func WithWindow(rows int) Engine { return Engine{window: rows} }
