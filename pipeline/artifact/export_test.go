package artifact

// Backends lets the conformance suite, which imports this package, run over
// the backends of this package.
var Backends = backends
