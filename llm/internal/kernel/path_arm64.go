package kernel

// vectorPaths are the paths of this processor beside the plain one. Every arm64 has
// Neon.
func vectorPaths() []Path { return []Path{Neon} }
