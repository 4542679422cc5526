package llm

// NoSIMDNotice is what a program tells its operator if [SIMD] is false.
const NoSIMDNotice = "this program was built without vector instructions; its engine takes several times as long. Build with GOEXPERIMENT=simd, as make does"
