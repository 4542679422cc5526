package settings

import (
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// secrets reads the secrets that are kept in files of their own.
func secrets(s *Settings) structconf.Faults {
	var faults structconf.Faults
	for key, value := range map[string]*string{
		"credentials.huggingface_token": &s.Credentials.HuggingFaceToken,
		"credentials.openai_key":        &s.Credentials.OpenAIKey,
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

// check finds the faults of values that have the right type.
func check(s Settings) structconf.Faults {
	var faults structconf.Faults
	fault := func(ok bool, key, value, message, allowed string) {
		if !ok {
			faults = append(faults, structconf.Fault{Key: key, Value: value, Message: message, Allowed: allowed})
		}
	}
	fault(s.Bus.URL == "" || s.Bus.Context == "", "bus.context", s.Bus.Context, "bus.url is set too; name one of them", "")
	fault((s.Bus.CertFile == "") == (s.Bus.KeyFile == ""), "bus.key_file", s.Bus.KeyFile, "a certificate and its key belong together", "")
	fault(s.Intake.FullAt > 0 && s.Intake.FullAt <= 1, "services.intake.full_at", fmt.Sprint(s.Intake.FullAt), "out of range", "more than 0, up to 1")
	// A live worker ends its own phase in this time; see pipeline/worker.
	fault(s.Intake.Patience > events.CancelHandlingTime, "services.intake.patience", s.Intake.Patience.String(), "too small",
		"more than "+events.CancelHandlingTime.String()+", which a worker needs to end a cancelled phase")
	fault(s.Limits.MaxTries >= 0, "limits.max_tries", fmt.Sprint(s.Limits.MaxTries), "too small", "0 or more")
	fault(s.Limits.MaxCrashes >= 0, "limits.max_crashes", fmt.Sprint(s.Limits.MaxCrashes), "too small", "0 or more")
	for key, slots := range map[string]int{
		"services.finetune.slots": s.Finetune.Slots, "services.inference.slots": s.Inference.Slots,
		"services.evaluation.slots": s.Evaluation.Slots, "services.tracker.slots": s.Tracker.Slots,
		"services.evaluation.judge_parallel": s.Evaluation.JudgeParallel,
	} {
		fault(slots >= 1, key, fmt.Sprint(slots), "too small", "1 or more")
	}
	for key, every := range map[string]time.Duration{
		"services.inference.save_every": s.Inference.SaveEvery, "services.evaluation.save_every": s.Evaluation.SaveEvery,
	} {
		fault(every > 0, key, every.String(), "too small", "more than 0s")
	}
	for key, queue := range map[string]string{
		"services.finetune.queue": s.Finetune.Queue, "services.inference.queue": s.Inference.Queue, "services.evaluation.queue": s.Evaluation.Queue,
	} {
		fault(queue != "" && !strings.ContainsAny(queue, ".*> \t"), key, queue, "want a name without dots, stars and blanks", "")
	}
	address := func(key, value string) {
		_, err := Origin(value)
		fault(err == nil, key, "", fmt.Sprint(err), "http://… or https://…")
	}
	address("data.hub_endpoint", s.Data.HubEndpoint)
	address("services.evaluation.judge_base_url", s.Evaluation.JudgeBaseURL)
	if !strings.HasPrefix(s.Tracker.TrackingURI, "file:") {
		address("services.tracker.tracking_uri", s.Tracker.TrackingURI)
	}
	for i, o := range s.Evaluation.JudgeAllowed {
		address(fmt.Sprintf("services.evaluation.judge_allowed[%d]", i), o)
	}
	for i, o := range s.Tracker.Allowed {
		address(fmt.Sprintf("services.tracker.allowed[%d]", i), o)
	}
	for i, k := range s.Credentials.Keys {
		origin, name, ok := strings.Cut(k, "=")
		key := fmt.Sprintf("credentials.keys[%d]", i)
		fault(ok && name != "", key, "", "want origin=VARIABLE, the name of the variable that holds the key", "")
		address(key, origin)
	}
	return faults
}

// Origin is the scheme, host and port of an address, as browsers compare
// them: in lower case, the scheme's own port left out. It is the unit that a
// credential belongs to (RFC 6454, section 4). The error shows nothing of the
// address, which may hold a secret.
func Origin(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", fmt.Errorf("want an address such as https://host or http://host:port")
	}
	if u.User != nil {
		return "", fmt.Errorf("an address must not hold a user or password; the section credentials does")
	}
	host := strings.ToLower(u.Host)
	host = strings.TrimSuffix(host, map[string]string{"http": ":80", "https": ":443"}[u.Scheme])
	return u.Scheme + "://" + host, nil
}

// Key is the credential for an address of a judge, by its origin; empty if
// there is none. Getenv looks the variables of credentials.keys up.
func (s Settings) Key(address string, getenv func(string) string) string {
	if key := s.ListedKey(address, getenv); key != "" {
		return key
	}
	if SameOrigin(address, s.Evaluation.JudgeBaseURL) {
		return s.Credentials.OpenAIKey
	}
	return ""
}

// ListedKey is the key that credentials.keys names for the origin of an
// address; empty if there is none.
func (s Settings) ListedKey(address string, getenv func(string) string) string {
	for _, k := range s.Credentials.Keys {
		if origin, name, _ := strings.Cut(k, "="); SameOrigin(origin, address) {
			return getenv(name)
		}
	}
	return ""
}

// SameOrigin reports whether two addresses have one origin.
func SameOrigin(a, b string) bool {
	one, err := Origin(a)
	if err != nil {
		return false
	}
	other, err := Origin(b)
	return err == nil && one == other
}
