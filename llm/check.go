package llm

// CheckConfig reads config.json of a checkpoint folder, and no weights. The error is
// that of [Open]: an [*UnknownArchitectureError], or that of the file.
func CheckConfig(dir string) error {
	_, err := readConfig(dir)
	return err
}
