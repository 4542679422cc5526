package trainer

import (
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/spec/pythontrainer"
)

// reportingVariables are the variables of the worker that a trainer gets with the key of
// Weights & Biases: which server and account, and how it is reached.
func reportingVariables() []string {
	return []string{
		"WANDB_BASE_URL", "WANDB_ENTITY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
		"SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE",
	}
}

// reporting returns what a trainer needs to report to Weights & Biases: names of further
// variables, and variables. Both are empty unless the job asks for that and the worker
// has a key.
func (e *Engine) reporting(s events.FineTuner) (more []string, set map[string]string) {
	if e.cfg.WandbKey == "" || !pythontrainer.ReportsTo(s.ReportTo, "wandb") {
		return nil, nil
	}
	return reportingVariables(), map[string]string{"WANDB_API_KEY": e.cfg.WandbKey, "WANDB_MODE": "online"}
}
