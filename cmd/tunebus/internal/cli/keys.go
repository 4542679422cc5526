package cli

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/pipeline/settings"
)

// keys are credentials that are given as flags. The environment is the better
// place for them, since other users of a machine see command lines.
type keys struct{ huggingFace, openAI, user, password string }

func (k *keys) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&k.huggingFace, "hf-key", "", "token for the Hugging Face Hub; default $HF_TOKEN")
	f.StringVar(&k.openAI, "openai-key", "", "key for the judge; default $OPENAI_API_KEY")
	f.StringVar(&k.user, "mlflow-username", "", "user for MLflow; default $MLFLOW_TRACKING_USERNAME")
	f.StringVar(&k.password, "mlflow-password", "", "password for MLflow; default $MLFLOW_TRACKING_PASSWORD")
}

// over puts the keys over those of the settings.
func (k *keys) over(c *settings.Credentials) {
	for _, one := range []struct {
		to   *string
		flag string
	}{{&c.HuggingFaceToken, k.huggingFace}, {&c.OpenAIKey, k.openAI}, {&c.MLflowUsername, k.user}, {&c.MLflowPassword, k.password}} {
		if one.flag != "" {
			*one.to = one.flag
		}
	}
}

// refuse says why a command that only publishes a request takes no keys.
func (k *keys) refuse() error {
	if *k == (keys{}) {
		return nil
	}
	return bad(errors.New("submit sends no keys: requests are stored for everybody to read. Give them to the services instead, by their settings or variables such as HF_TOKEN and OPENAI_API_KEY"))
}
