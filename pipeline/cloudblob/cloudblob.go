// Package cloudblob links the drivers of the object stores of the large clouds
// into a program, so that artifacts may be kept at s3://, gs:// and azblob://
// addresses. Credentials come from where the makers' own tools take them.
//
// It is a module of its own, and programs alone import it: the makers' client
// libraries are many times the size of everything else that a service needs,
// and whoever builds or tests a phase should not have to compile them.
package cloudblob

import (
	"context"
	"fmt"
	"net/url"
	"os"

	"gocloud.dev/blob"
	_ "gocloud.dev/blob/azureblob" // the default opener of azblob://
	_ "gocloud.dev/blob/gcsblob"   // and of gs://
	"gocloud.dev/gcp"

	"github.com/tunebus/tunebus/pipeline/artifact"
)

// opener opens a bucket, and answers an error that says where credentials come
// from if there are none: the drivers would go on without, and fail at the
// first use with an answer that nobody can make sense of.
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
			return nil, fmt.Errorf("no credentials in GOOGLE_APPLICATION_CREDENTIALS, in gcloud's folder or from this machine's role: %w", err)
		}
	}
	return blob.DefaultURLMux().OpenBucketURL(ctx, u)
}

func openAzure(ctx context.Context, u *url.URL) (*blob.Bucket, error) {
	b, err := blob.DefaultURLMux().OpenBucketURL(ctx, u)
	if err != nil {
		return nil, fmt.Errorf("%w; the account is AZURE_STORAGE_ACCOUNT, its credentials AZURE_STORAGE_KEY, AZURE_STORAGE_SAS_TOKEN or an identity of Azure", err)
	}
	return b, nil
}
