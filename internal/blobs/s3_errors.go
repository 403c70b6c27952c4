package blobs

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"syscall"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

var (
	// errNotSupported says that the server does not know this request.
	errNotSupported = errors.New("blobs: the server does not support this")

	// errConflict says that the key changed while we wrote. settle finds out
	// what that means.
	errConflict = errors.New("blobs: the key changed meanwhile")

	// errStalled ends a Get whose answer does not go on.
	errStalled = errors.New("blobs: the server went silent")
)

// fullCodes are what servers say when there is no room: Versity's and Ceph's
// QuotaExceeded, Versity's and Dell's InsufficientStorage, MinIO's two.
var fullCodes = []string{"QuotaExceeded", "InsufficientStorage", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded"}

// absentCodes are what servers say when an object or an upload is not there.
// What else is not found, a key for instance, must not look like a lost object.
var absentCodes = []string{"NoSuchKey", "NotFound", "NoSuchUpload"}

// busyCodes are what servers say when it could work later. Damage on the way
// up belongs here: the server kept nothing.
var busyCodes = []string{
	"SlowDown", "RequestTimeout", "Throttling", "TooManyRequests", "ServiceUnavailable", "InternalError",
	"BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch", "IncompleteBody",
}

// codeShape is what an error code looks like. Anything else a server calls its
// error is not repeated.
var codeShape = regexp.MustCompile(`^[A-Za-z0-9]{1,48}$`)

// classify turns what the library says into this package's words. The library's
// own texts are dropped: they name the object, and ids stay out of logs. ctx
// is the caller's, so that our own deadlines are told from theirs.
func (s *S3) classify(ctx context.Context, what string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("blobs: %s: %w", what, ctx.Err())
	}
	var answer *smithyhttp.ResponseError
	if !errors.As(err, &answer) || answer.HTTPStatusCode() == 0 {
		return fmt.Errorf("%w: %s: %s", ErrUnavailable, what, cause(err))
	}
	status, code := answer.HTTPStatusCode(), ""
	if api := smithy.APIError(nil); errors.As(err, &api) && codeShape.MatchString(api.ErrorCode()) {
		code = api.ErrorCode()
	}
	switch {
	case code == "NoSuchBucket":
		return fmt.Errorf("%w: there is none of that name, and none is made here", ErrBucket)
	case status == http.StatusInsufficientStorage || slices.Contains(fullCodes, code):
		return ErrFull
	case status == http.StatusNotFound && slices.Contains(absentCodes, code):
		return ErrNotFound
	case status == http.StatusPreconditionFailed:
		return errors.Join(ErrExists, errConflict)
	case status == http.StatusConflict && code == "ConditionalRequestConflict":
		return errConflict
	case status == http.StatusNotImplemented:
		return fmt.Errorf("%w: %s", errNotSupported, what)
	case status >= 500, status == http.StatusTooManyRequests, status == http.StatusRequestTimeout, slices.Contains(busyCodes, code):
		return fmt.Errorf("%w: %s: the server answered %d %s", ErrUnavailable, what, status, code)
	case status == http.StatusForbidden, status == http.StatusUnauthorized, code == "InvalidAccessKeyId":
		return fmt.Errorf("%w: %s: access was refused: %d %s", ErrBucket, what, status, code)
	default:
		return fmt.Errorf("blobs: %s: the server answered %d %s", what, status, code)
	}
}

// cause says why a server was not heard, without the address that the system's
// texts repeat, which would name the object.
func cause(err error) string {
	var certificate *tls.CertificateVerificationError
	var dns *net.DNSError
	var number syscall.Errno
	var wire net.Error
	switch {
	case errors.As(err, &certificate):
		return certificate.Error()
	case errors.As(err, &dns):
		return "its name is not known"
	case errors.As(err, &number):
		return number.Error()
	case errors.Is(err, errStalled), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded),
		errors.As(err, &wire) && wire.Timeout():
		return "it did not answer in time"
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return "it closed the connection"
	default:
		return "its answer was not understood"
	}
}
