package cloudblob

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/middleware"
	"gocloud.dev/blob"
	"gocloud.dev/blob/s3blob"

	"github.com/tunebus/tunebus/pipeline/artifact"
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

func init() {
	artifact.Checksums["s3"] = artifact.ServerChecksums{
		Ask: func(ctx context.Context) context.Context { return context.WithValue(ctx, askForChecksum{}, true) },
		Answer: func(a *blob.Attributes) string {
			var head s3.HeadObjectOutput
			if !a.As(&head) {
				return ""
			}
			return aws.ToString(head.ChecksumSHA256)
		},
	}
}

// askForChecksum is the key of a context in which S3 is asked for the checksum of an
// object. Other requests do not ask: with a key of KMS it needs a permission more.
type askForChecksum struct{}

// withChecksums has S3 check the SHA-256 of what it gets, and keep it. By default its
// client sends CRC32. Servers that know no checksums get none (AWS's variable
// AWS_REQUEST_CHECKSUM_CALCULATION=when_required), and what is stored is read back.
func withChecksums(o *s3.Options) func(context.Context, middleware.InitializeInput, middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
	sends := o.RequestChecksumCalculation != aws.RequestChecksumCalculationWhenRequired
	return func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
		switch p := in.Parameters.(type) {
		case *s3.HeadObjectInput:
			if ctx.Value(askForChecksum{}) != nil {
				p.ChecksumMode = types.ChecksumModeEnabled
			}
		case *s3.PutObjectInput:
			if sends {
				p.ChecksumAlgorithm = types.ChecksumAlgorithmSha256
			}
		case *s3.CreateMultipartUploadInput:
			if sends {
				p.ChecksumAlgorithm = types.ChecksumAlgorithmSha256
			}
		case *s3.UploadPartInput:
			if sends {
				p.ChecksumAlgorithm = types.ChecksumAlgorithmSha256
			}
		}
		return next.HandleInitialize(ctx, in)
	}
}

func configureClient(o *s3.Options) {
	// The artifact store compares its own digests, and tells a damaged object from a
	// store that is away.
	o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
	o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
		abort := middleware.InitializeMiddlewareFunc("AbortWithoutCancel", abortWithoutCancel)
		checksums := middleware.InitializeMiddlewareFunc("Checksums", withChecksums(o))
		return errors.Join(stack.Initialize.Add(abort, middleware.Before), stack.Initialize.Add(checksums, middleware.Before))
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
