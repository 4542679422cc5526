package places

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/pipeline/folderaddress"
	"github.com/tunebus/tunebus/pipeline/settings"
)

// known reports whether a run or up has been on the data folder.
func (p Places) known() bool { return p.Reports+p.TrackingURI != "" }

// stores is what to remember of earlier artifact stores once that of next counts.
func (p Places) stores(next Places) []string {
	all := slices.Clone(p.EarlierArtifacts)
	if p.known() && p.Artifacts != next.Artifacts {
		all = append(slices.DeleteFunc(all, func(a string) bool { return a == p.Artifacts }), p.Artifacts)
	}
	all = slices.DeleteFunc(all, func(a string) bool { return a == next.Artifacts })
	return all[max(0, len(all)-maxEarlier):]
}

// EarlierStores are the addresses of the artifact stores, other than the last one, in which
// runs of the data folder left theirs, without what may be a credential.
func (p Places) EarlierStores() ([]string, error) {
	var all []string
	for _, a := range p.EarlierArtifacts {
		if a == "" {
			dir, err := filepath.Abs(filepath.Join(p.data, "artifacts"))
			if err != nil {
				return nil, err
			}
			a = folderaddress.Of(dir)
		}
		all = append(all, settings.Redacted(a))
	}
	return all, nil
}

// StoreMoved says for people that the artifacts of the runs of these settings lie in another
// store than those of the runs before them on the data folder; empty if they do not.
func (p Places) StoreMoved(cfg settings.Settings) (string, error) {
	now, err := folderaddress.Absolute(cfg.Artifacts.URL)
	if err != nil || !p.known() || now == p.Artifacts {
		return "", err
	}
	before, err := Places{data: p.data, EarlierArtifacts: []string{p.Artifacts}}.EarlierStores()
	if err != nil {
		return "", err
	}
	where := settings.Redacted(now)
	if now == "" {
		where = "the data folder"
	}
	return fmt.Sprintf("artifacts lie in %s from now on; those of the runs before stay where they are: commands on these runs, such as export, need --artifacts %s",
		where, strings.Join(before, "")), nil
}
