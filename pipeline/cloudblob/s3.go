package cloudblob

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/middleware"
	"gocloud.dev/blob"
	"gocloud.dev/blob/s3blob"
)

// abortTimeout limits the request that deletes the parts of a failed upload.
const abortTimeout = 10 * time.Second

// openS3 opens a bucket in two steps: gocloud's own opener reads the address and
// the environment, then the bucket is opened again with the same options and
// those of [configureClient].
func openS3(ctx context.Context, u *url.URL) (*blob.Bucket, error) {
	defaultBucket, err := blob.DefaultURLMux().OpenBucketURL(ctx, u)
	if err != nil {
		return nil, err
	}
	var client *s3.Client
	if !defaultBucket.As(&client) {
		return nil, errors.Join(errors.New("the driver has no client of S3"), defaultBucket.Close())
	}
	if err := defaultBucket.Close(); err != nil {
		return nil, err
	}
	opts := client.Options()
	if opts.Credentials != nil { // an anonymous client has none
		if _, err := opts.Credentials.Retrieve(ctx); err != nil {
			return nil, fmt.Errorf("no credentials in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "+
				"in a profile of AWS or from this machine's role: %w", err)
		}
	}
	return s3blob.OpenBucket(ctx, s3.New(opts, configureClient), u.Host, &s3blob.Options{
		EncryptionType:             types.ServerSideEncryption(u.Query().Get("ssetype")),
		KMSEncryptionID:            u.Query().Get("kmskeyid"),
		RequestChecksumCalculation: opts.RequestChecksumCalculation,
	})
}

func configureClient(o *s3.Options) {
	// Without this the client logs a line for each object that has no checksum
	// of S3. The artifact store compares its own digests.
	o.DisableLogOutputChecksumValidationSkipped = true
	o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
		abort := middleware.InitializeMiddlewareFunc("AbortWithoutCancel", abortWithoutCancel)
		return stack.Initialize.Add(abort, middleware.Before)
	})
}

// abortWithoutCancel sends the request that aborts a multipart upload even if
// the context of the upload is cancelled. Otherwise S3 keeps the parts, and
// charges for them, for ever.
func abortWithoutCancel(
	ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler,
) (middleware.InitializeOutput, middleware.Metadata, error) {
	if _, ok := in.Parameters.(*s3.AbortMultipartUploadInput); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
		defer cancel()
	}
	return next.HandleInitialize(ctx, in)
}
