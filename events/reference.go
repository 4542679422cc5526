package events

// Reference points at an artifact; events never carry the bytes themselves.
type Reference struct {
	// Store is the id that the artifact store itself carries.
	Store string `json:"store"`
	// Key is the immutable name below the store, with "/" between its parts.
	Key string `json:"key"`
	// MediaType is the RFC 6838 media type of the content.
	MediaType string `json:"media_type"`
	// Size is the content's length in bytes.
	Size int64 `json:"size"`
	// SHA256 is the content's digest, 64 lower-case hexadecimal digits.
	SHA256 string `json:"sha256"`
}

// IsZero reports whether r points at nothing.
func (r Reference) IsZero() bool { return r == Reference{} }

// Dataset says which data a phase read.
type Dataset struct {
	// Key is the key of the specification that names it, section.key.
	Key string `json:"key"`
	// SHA256 identifies the content that was read, 64 lower-case hexadecimal
	// digits: of one file its digest, of several the digest of what sha256sum
	// prints for them.
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
	Rows   int64  `json:"rows"`
}
