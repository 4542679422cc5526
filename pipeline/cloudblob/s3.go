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

// abortTimeout bounds the request that removes the parts of an upload.
const abortTimeout = 10 * time.Second

// openS3 opens a bucket as gocloud's own opener does, which reads the address
// and the environment, and then once more with a client of our ways.
func openS3(ctx context.Context, u *url.URL) (*blob.Bucket, error) {
	usual, err := blob.DefaultURLMux().OpenBucketURL(ctx, u)
	if err != nil {
		return nil, err
	}
	var client *s3.Client
	if !usual.As(&client) {
		return nil, errors.Join(errors.New("the driver has no client of S3"), usual.Close())
	}
	if err := usual.Close(); err != nil {
		return nil, err
	}
	opts := client.Options()
	if opts.Credentials != nil { // an anonymous client has none
		if _, err := opts.Credentials.Retrieve(ctx); err != nil {
			return nil, fmt.Errorf("no credentials in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, in a profile of AWS or from this machine's role: %w", err)
		}
	}
	return s3blob.OpenBucket(ctx, s3.New(opts, ways), u.Host, &s3blob.Options{
		EncryptionType:             types.ServerSideEncryption(u.Query().Get("ssetype")),
		KMSEncryptionID:            u.Query().Get("kmskeyid"),
		RequestChecksumCalculation: opts.RequestChecksumCalculation,
	})
}

// ways are what we ask of a client.
func ways(o *s3.Options) {
	// It would write a line for each object that has no checksum of S3's. The
	// store compares digests of its own.
	o.DisableLogOutputChecksumValidationSkipped = true
	o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("AbortOutlivesItsCause", abortOutlivesItsCause), middleware.Before)
	})
}

// abortOutlivesItsCause lets an upload that is given up because its context
// ended remove its parts, which would be kept, and paid for, for ever.
func abortOutlivesItsCause(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
	if _, ok := in.Parameters.(*s3.AbortMultipartUploadInput); ok {
		var done context.CancelFunc
		ctx, done = context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
		defer done()
	}
	return next.HandleInitialize(ctx, in)
}
