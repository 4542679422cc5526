package pythontrainer

import (
	"slices"
	"strings"
)

// Reporters are the names of report_to: the integrations of Transformers 5.24, "all"
// and "none".
func Reporters() []string {
	return []string{
		"mlflow", "none", "all", "wandb", "tensorboard", "trackio", "comet_ml", "neptune", "clearml", "dvclive", "swanlab",
		"azure_ml", "codecarbon", "dagshub", "flyte", "kubeflow",
	}
}

// ReportsTo reports whether a value of report_to, one name or several separated by
// commas, has a name.
func ReportsTo(value, name string) bool {
	return slices.ContainsFunc(strings.Split(value, ","), func(one string) bool {
		one = strings.TrimSpace(one)
		return one == name || one == "all"
	})
}
