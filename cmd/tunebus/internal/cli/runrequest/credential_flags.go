package runrequest

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/pipeline/settings"
)

// CredentialFlags are credentials that are given as flags, as the original
// Python pipeline takes them. The environment is the better place, because
// other users of a machine see command lines.
type CredentialFlags struct{ huggingFace, openAI, wandb, user, password string }

// AddFlags adds the flags to a command.
func (f *CredentialFlags) AddFlags(c *cobra.Command) {
	flags := c.Flags()
	flags.StringVar(&f.huggingFace, "hf-key", "", "token for the Hugging Face Hub; default $HF_TOKEN")
	flags.StringVar(&f.openAI, "openai-key", "", "key for the judge; default $OPENAI_API_KEY")
	flags.StringVar(&f.wandb, "wandb-key", "", "key for Weights & Biases; default $WANDB_API_KEY, else $WANDB_TOKEN")
	flags.StringVar(&f.user, "mlflow-username", "", "user for MLflow; default $MLFLOW_TRACKING_USERNAME")
	flags.StringVar(&f.password, "mlflow-password", "", "password for MLflow; default $MLFLOW_TRACKING_PASSWORD")
}

// Apply puts the flags over the credentials of the settings.
func (f *CredentialFlags) Apply(c *settings.Credentials) {
	for _, over := range []struct {
		setting *string
		flag    string
	}{
		{&c.HuggingFaceToken, f.huggingFace},
		{&c.OpenAIKey, f.openAI},
		{&c.WandbKey, f.wandb},
		{&c.MLflowUsername, f.user},
		{&c.MLflowPassword, f.password},
	} {
		if over.flag != "" {
			*over.setting = over.flag
		}
	}
}

// Refuse is the error of a command that only publishes a request, if there are
// credentials.
func (f *CredentialFlags) Refuse() error {
	if *f == (CredentialFlags{}) {
		return nil
	}
	return exit.Input(errors.New("submit sends no keys: requests are stored for everybody to read. " +
		"Give them to the services instead, by their settings or variables such as HF_TOKEN and OPENAI_API_KEY"))
}
