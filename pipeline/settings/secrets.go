package settings

import (
	"fmt"
	"os"
	"strings"

	"github.com/tunebus/tunebus/pipeline/structconf"
)

// readSecretFiles replaces each secret of the form file:/path with the content of
// the file.
func readSecretFiles(s *Settings) structconf.Faults {
	var faults structconf.Faults
	for key, value := range map[string]*string{
		"credentials.huggingface_token": &s.Credentials.HuggingFaceToken,
		"credentials.openai_key":        &s.Credentials.OpenAIKey,
		"credentials.wandb_key":         &s.Credentials.WandbKey,
		"credentials.serve_key":         &s.Credentials.ServeKey,
		"credentials.mlflow_password":   &s.Credentials.MLflowPassword,
		"credentials.mlflow_token":      &s.Credentials.MLflowToken,
	} {
		path, ok := strings.CutPrefix(*value, "file:")
		if !ok {
			continue
		}
		body, err := os.ReadFile(path)
		if err != nil {
			faults = append(faults, structconf.Fault{Key: key, Message: fmt.Sprintf("its file cannot be read: %v", err)})
		}
		*value = strings.TrimSpace(string(body))
	}
	return faults
}
