package child

import (
	"maps"
	"slices"
	"strings"
)

// passed are the variables of the worker that a trainer gets. A star stands for any
// end of a name.
func passed() []string {
	return []string{
		"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "LC_*", "TZ", "LD_LIBRARY_PATH",
		"VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONPATH", "PYTHONHASHSEED", "XDG_CACHE_HOME",
		"OMP_*", "MKL_*", "OPENBLAS_*", "CUDA_*", "NVIDIA_*", "NCCL_*", "HIP_*", "ROCR_*", "HSA_*",
	}
}

// secretEnds are how names of variables end that hold secrets. No pattern lets them
// pass.
func secretEnds() []string { return []string{"TOKEN", "KEY", "SECRET", "PASSWORD", "CREDENTIALS"} }

// Environment returns the environment of a trainer. environ is that of the worker.
// more are names of further variables to pass, or NAME=value. set goes over both.
func Environment(environ, more []string, set map[string]string) []string {
	vars := map[string]string{}
	own := map[string]string{}
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		own[name] = value
		if isPassed(name) {
			vars[name] = value
		}
	}
	maps.Copy(vars, map[string]string{
		"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1",
		"HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1", "AXOLOTL_DO_NOT_TRACK": "1",
		"WANDB_MODE": "offline", "PYTHONUNBUFFERED": "1",
	})
	for _, m := range more {
		name, value, given := strings.Cut(m, "=")
		if !given {
			if value, given = own[name]; !given {
				continue
			}
		}
		vars[name] = value
	}
	maps.Copy(vars, set)
	out := make([]string, 0, len(vars))
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		out = append(out, name+"="+vars[name])
	}
	return out
}

func isPassed(name string) bool {
	for _, p := range passed() {
		prefix, pattern := strings.CutSuffix(p, "*")
		if name == p || pattern && strings.HasPrefix(name, prefix) && !isSecret(name) {
			return true
		}
	}
	return false
}

func isSecret(name string) bool {
	return slices.ContainsFunc(secretEnds(), func(end string) bool { return strings.HasSuffix(strings.ToUpper(name), end) })
}
