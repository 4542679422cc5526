// Package cloudblob links the drivers of Amazon S3, Google Cloud Storage and
// Azure Blob Storage into a program, so that [artifact.Open] accepts s3://, gs://
// and azblob:// addresses:
//
//	import _ "github.com/tunebus/tunebus/pipeline/cloudblob"
//
// The drivers are those of gocloud.dev. Credentials come from the same places
// as those of the vendors' own tools. An address without credentials is an
// error when it is opened, and not at the first use.
//
// The package is a module of its own, and only main packages import it: the
// vendors' client libraries are many times larger than all other dependencies
// of a service, and a test of a phase should not have to compile them.
package cloudblob

import (
	"context"
	"fmt"
	"net/url"
	"os"

	"gocloud.dev/blob"
	_ "gocloud.dev/blob/azureblob" // registers the default opener of azblob://
	_ "gocloud.dev/blob/gcsblob"   // registers the default opener of gs://
	"gocloud.dev/gcp"

	"github.com/tunebus/tunebus/pipeline/artifact"
)

// opener opens a bucket. If there are no credentials, it returns an error that
// names the places to put them. Without that check the drivers open the bucket
// and fail at the first use, with an error that does not name the cause.
type opener func(ctx context.Context, u *url.URL) (*blob.Bucket, error)

func (o opener) OpenBucketURL(ctx context.Context, u *url.URL) (*blob.Bucket, error) {
	return o(ctx, u)
}

func init() {
	artifact.Buckets.RegisterBucket("azblob", opener(openAzure))
	artifact.Buckets.RegisterBucket("gs", opener(openGoogle))
	artifact.Buckets.RegisterBucket("s3", opener(openS3))
}

func openGoogle(ctx context.Context, u *url.URL) (*blob.Bucket, error) {
	if os.Getenv("STORAGE_EMULATOR_HOST") == "" && u.Query().Get("anonymous") != "true" {
		if _, err := gcp.DefaultCredentials(ctx); err != nil {
			return nil, fmt.Errorf("no credentials in GOOGLE_APPLICATION_CREDENTIALS, "+
				"in gcloud's folder or from this machine's role: %w", err)
		}
	}
	return blob.DefaultURLMux().OpenBucketURL(ctx, u)
}

func openAzure(ctx context.Context, u *url.URL) (*blob.Bucket, error) {
	b, err := blob.DefaultURLMux().OpenBucketURL(ctx, u)
	if err != nil {
		return nil, fmt.Errorf("%w; the account is AZURE_STORAGE_ACCOUNT, "+
			"its credentials AZURE_STORAGE_KEY, AZURE_STORAGE_SAS_TOKEN or an identity of Azure", err)
	}
	return b, nil
}
