package artifact

// Backends lets the conformance suite, which imports this package, test the
// backends of this package.
var Backends = backends
