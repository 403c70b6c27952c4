package blobs

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"iter"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/safeconduct/safeconduct/credentials/private"
)

const (
	// partSize is how much of an object is held in memory, in bytes. What is
	// not longer goes up in one request; S3 takes parts from 5 MiB.
	partSize = 8 << 20

	// maxParts is how many parts S3 takes: objects end at 80 GB.
	maxParts = 10_000

	// attempts is how often a request is made before it counts as failed.
	attempts = 3

	// tidyTime is how long cleaning up after a failure may take.
	tidyTime = 10 * time.Second

	// probeDir holds the object with which OpenS3 tries the bucket. Its name is
	// not hex, so that no key can reach into it.
	probeDir = "probe/"

	// uploadMark is the metadata field that says which Put an object came from.
	uploadMark = "upload"
)

// S3Config says where the objects lie and who asks for them. Endpoint, Region,
// Bucket and both keys are required.
type S3Config struct {
	// Endpoint is https://host or https://host:port. Plain http is taken on
	// loopback only.
	Endpoint string
	Region   string
	// Bucket exists already, and keeps no versions: OpenS3 neither makes it nor
	// changes it.
	Bucket string
	// Prefix stands before every key, so that a bucket can be shared with
	// something else: empty, or a folder with or without its last slash.
	Prefix string

	AccessKey string
	SecretKey private.String

	// PathStyle names the bucket in the path instead of the host name. Most
	// servers that are not Amazon's want it.
	PathStyle bool

	// CACert is a PEM file with the only roots to trust; empty means those of
	// the system.
	CACert []byte

	// Timeout is how long the server may take for one request with all its
	// repetitions, and how long it may pause within the answer to a Get; zero
	// means one minute.
	Timeout time.Duration

	// Now tells CollectTemp the age of an orphan; nil means time.Now.
	Now func() time.Time
}

// S3 is a bucket of objects. It is safe for use by many goroutines and by
// several processes at once.
type S3 struct {
	cfg       S3Config
	client    *s3.Client
	transport *http.Transport

	// conditional says that the server refuses a key that is taken by itself.
	conditional bool
}

var (
	bucketShape = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	prefixShape = regexp.MustCompile(`^([a-zA-Z0-9_-][a-zA-Z0-9._-]{0,63}/)*$`)
)

// OpenS3 opens a bucket and tries it: that it is there, keeps no versions, and
// that these keys may write, read and remove (docs/decisions/0009-s3.md). All
// mistakes in cfg are reported at once. ErrBucket says that the bucket does
// not serve, ErrUnavailable that the server cannot be reached now.
func OpenS3(ctx context.Context, cfg S3Config) (*S3, error) {
	if cfg.Prefix != "" && !strings.HasSuffix(cfg.Prefix, "/") {
		cfg.Prefix += "/"
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = time.Minute
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	roots, err := cfg.check()
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		Proxy:                 nil, // of the environment only our own settings are asked
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:   5 * time.Second,
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots},
		ResponseHeaderTimeout: cfg.Timeout / attempts, // so that a silent server is asked again
		ExpectContinueTimeout: time.Second,
		IdleConnTimeout:       time.Minute,
		MaxIdleConnsPerHost:   16,
		DisableCompression:    true, // ciphertext does not shrink
	}
	s := &S3{cfg: cfg, transport: transport}
	// The client is made from these options alone: no file, no environment and
	// no metadata service of a cloud has a say in where objects go.
	s.client = s3.New(s3.Options{
		Region:       cfg.Region,
		BaseEndpoint: aws.String(cfg.Endpoint),
		UsePathStyle: cfg.PathStyle,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: cfg.AccessKey, SecretAccessKey: cfg.SecretKey.Reveal()}, nil
		}),
		HTTPClient: &http.Client{
			Transport: transport,
			// A server that points elsewhere does not get to choose where.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		Retryer: retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts = attempts
			o.Backoff = retry.BackoffDelayerFunc(backoff)
			o.RateLimiter = ratelimit.None // attempts are bounded; a budget over all requests would make one's fate depend on others
		}),
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired, // Put brings its own
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenSupported,

		DisableLogOutputChecksumValidationSkipped: true,
	})
	if err := s.checkVersions(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if s.conditional, err = s.probe(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// backoff is how long to wait after an attempt that failed: about half a second
// in all, at random, so that many who were refused do not come back at once.
func backoff(attempt int, _ error) (time.Duration, error) {
	longest := 250 * time.Millisecond << min(attempt, attempts)
	return longest/2 + mathrand.N(longest/2), nil //nolint:gosec // a pause is no secret
}

// check returns the roots to trust, or everything that is wrong.
func (cfg S3Config) check() (roots *x509.CertPool, err error) {
	var wrong []error
	refuse := func(text string) { wrong = append(wrong, errors.New("blobs: "+text)) }
	u, err := url.Parse(cfg.Endpoint)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
		refuse("the endpoint is https://host or https://host:port")
	case u.Scheme == "https":
	case u.Scheme == "http" && isLoopback(u.Hostname()):
	default:
		refuse("the endpoint must be https, unless it is on loopback")
	}
	if cfg.Region == "" {
		refuse("the region is required")
	}
	if !bucketShape.MatchString(cfg.Bucket) {
		refuse("the bucket is required, in lower case")
	}
	if !prefixShape.MatchString(cfg.Prefix) {
		refuse("the prefix is not a folder")
	}
	if cfg.AccessKey == "" || cfg.SecretKey.IsZero() {
		refuse("the access key and the secret key are required")
	}
	if cfg.Timeout < 0 {
		refuse("the timeout is negative")
	}
	if len(cfg.CACert) > 0 {
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM(cfg.CACert) {
			refuse("the CA file holds no certificate in PEM form")
		}
	}
	return roots, errors.Join(wrong...)
}

// isLoopback goes by the text alone: a name in the DNS can point anywhere
// tomorrow.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Close lets go of the connections.
func (s *S3) Close() error {
	s.transport.CloseIdleConnections()
	return nil
}

// checkVersions refuses a bucket that keeps, or once kept, versions: there a
// removed object is only hidden, and erasing would be a word.
func (s *S3) checkVersions(ctx context.Context) error {
	short, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	v, err := s.client.GetBucketVersioning(short, &s3.GetBucketVersioningInput{Bucket: &s.cfg.Bucket})
	switch err := s.classify(ctx, "look for versions", err); {
	case errors.Is(err, errNotSupported):
		return nil // a server without versions keeps none
	case err == nil:
	case ctx.Err() != nil, errors.Is(err, ErrUnavailable), errors.Is(err, ErrBucket):
		return err
	default: // servers have many words for a key that they do not know
		return fmt.Errorf("%w: %w", ErrBucket, err)
	}
	if v.Status != "" {
		return fmt.Errorf("%w: it keeps versions, or kept them once, so that nothing in it can be erased", ErrBucket)
	}
	return nil
}

// probe puts an object twice and removes it. It shows that these keys may do
// what they will be asked to, and whether the server honours If-None-Match:
// some refuse it, and some older ones take it without a word and overwrite.
func (s *S3) probe(ctx context.Context) (conditional bool, err error) {
	key := s.cfg.Prefix + probeDir + newUpload()
	defer func() {
		if e := s.remove(ctx, key); err == nil && e != nil {
			err = e
		}
	}()
	put := func() error {
		return s.putWhole(ctx, key, newUpload(), []byte("probe"), true)
	}
	switch err := put(); {
	case errors.Is(err, errNotSupported):
		return false, s.putWhole(ctx, key, newUpload(), []byte("probe"), false)
	case err != nil:
		return false, err
	}
	switch err := put(); {
	case errors.Is(err, ErrExists):
		return true, nil
	case errors.Is(err, errNotSupported):
		return false, nil
	default:
		return false, err
	}
}

// Put stores what r holds under key and returns its length in bytes. Nobody
// sees the object before it is complete; when Put returns an error nothing is
// kept, unless the server could not be asked to forget what was under way: an
// object that no row names is found and collected later.
func (s *S3) Put(ctx context.Context, key string, r io.Reader) (int64, error) {
	if err := checkKey(key); err != nil {
		return 0, err
	}
	name := s.cfg.Prefix + key
	r = reader{ctx, r}
	part, last, err := readPart(r)
	if err != nil {
		return 0, err
	}
	if !s.conditional {
		// Between this look and the write somebody else could take the key.
		// Keys hold 128 random bits, so that a taken one is a mistake of ours
		// and not a race to be won (docs/decisions/0009-s3.md).
		if err := s.absent(ctx, name); err != nil {
			return 0, err
		}
	}
	upload, n := newUpload(), int64(len(part))
	if last {
		err = s.putWhole(ctx, name, upload, part, s.conditional)
	} else {
		n, err = s.putParts(ctx, name, upload, part, r)
	}
	if err = s.settle(ctx, name, upload, err); err != nil {
		return 0, err
	}
	return n, nil
}

// readPart reads the next part of an object. last says that r holds no more.
func readPart(r io.Reader) (part []byte, last bool, err error) {
	var b bytes.Buffer
	switch _, err := io.CopyN(&b, r, partSize); {
	case errors.Is(err, io.EOF):
		return b.Bytes(), true, nil
	case err != nil:
		return nil, false, fmt.Errorf("blobs: read what to keep: %w", classify(err))
	}
	return b.Bytes(), false, nil
}

// putWhole writes an object in one request. The server has to compute the
// same SHA-256 before it shows the object to anybody.
func (s *S3) putWhole(ctx context.Context, name, upload string, data []byte, conditional bool) error {
	digest := sha256.Sum256(data)
	in := &s3.PutObjectInput{
		Bucket: &s.cfg.Bucket, Key: &name,
		Body: bytes.NewReader(data), ContentLength: aws.Int64(int64(len(data))),
		ContentType:    aws.String("application/octet-stream"),
		ChecksumSHA256: aws.String(base64.StdEncoding.EncodeToString(digest[:])),
		Metadata:       map[string]string{uploadMark: upload},
	}
	if conditional {
		in.IfNoneMatch = aws.String("*")
	}
	short, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	_, err := s.client.PutObject(short, in)
	return s.classify(ctx, "put", err)
}

// putParts writes a longer object. Its parts lie apart from all objects until
// the server has put them together and its checksum over the whole is ours.
func (s *S3) putParts(ctx context.Context, name, upload string, part []byte, r io.Reader) (n int64, err error) {
	id, err := s.begin(ctx, name, upload)
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			// What cannot be dropped now, CollectTemp takes.
			_ = s.abort(context.WithoutCancel(ctx), name, id)
		}
	}()
	whole := crc32.New(castagnoli)
	var parts []types.CompletedPart
	for last := false; ; {
		if len(parts) == maxParts {
			return 0, fmt.Errorf("%w: the object is too long", ErrFull)
		}
		_, _ = whole.Write(part) // never returns an error
		n += int64(len(part))
		done, err := s.putPart(ctx, name, id, int32(len(parts)+1), part) //nolint:gosec // at most 10,000
		if err != nil {
			return 0, err
		}
		parts = append(parts, done)
		if last {
			break
		}
		if part, last, err = readPart(r); err != nil {
			return 0, err
		}
		if last && len(part) == 0 {
			break
		}
	}
	in := &s3.CompleteMultipartUploadInput{
		Bucket: &s.cfg.Bucket, Key: &name, UploadId: &id,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
		ChecksumCRC32C:  checksum(whole.Sum32()), ChecksumType: types.ChecksumTypeFullObject,
		MpuObjectSize: &n,
	}
	if s.conditional {
		in.IfNoneMatch = aws.String("*")
	}
	short, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	_, err = s.client.CompleteMultipartUpload(short, in)
	return n, s.classify(ctx, "complete", err)
}

func (s *S3) begin(ctx context.Context, name, upload string) (id string, err error) {
	short, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	out, err := s.client.CreateMultipartUpload(short, &s3.CreateMultipartUploadInput{
		Bucket: &s.cfg.Bucket, Key: &name,
		ContentType:       aws.String("application/octet-stream"),
		ChecksumAlgorithm: types.ChecksumAlgorithmCrc32c, ChecksumType: types.ChecksumTypeFullObject,
		Metadata: map[string]string{uploadMark: upload},
	})
	if err != nil {
		return "", s.classify(ctx, "begin", err)
	}
	return aws.ToString(out.UploadId), nil
}

func (s *S3) putPart(ctx context.Context, name, id string, number int32, data []byte) (types.CompletedPart, error) {
	short, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	sum := checksum(crc32.Checksum(data, castagnoli))
	out, err := s.client.UploadPart(short, &s3.UploadPartInput{
		Bucket: &s.cfg.Bucket, Key: &name, UploadId: &id, PartNumber: &number,
		Body: bytes.NewReader(data), ContentLength: aws.Int64(int64(len(data))), ChecksumCRC32C: sum,
	})
	if err != nil {
		return types.CompletedPart{}, s.classify(ctx, "put a part", err)
	}
	return types.CompletedPart{ETag: out.ETag, PartNumber: &number, ChecksumCRC32C: sum}, nil
}

func (s *S3) abort(ctx context.Context, name, id string) error {
	short, cancel := context.WithTimeout(ctx, tidyTime)
	defer cancel()
	_, err := s.client.AbortMultipartUpload(short, &s3.AbortMultipartUploadInput{Bucket: &s.cfg.Bucket, Key: &name, UploadId: &id})
	if err = s.classify(ctx, "drop an upload", err); errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// settle finds out what became of an upload that did not end in a clear yes.
// An answer can get lost: the repeated request is then refused because of the
// object that the first one made, and that object is ours.
func (s *S3) settle(ctx context.Context, name, upload string, failed error) error {
	if failed == nil {
		return nil
	}
	tidy, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyTime)
	defer cancel()
	found, err := s.head(tidy, name)
	switch {
	case err == nil && found.Metadata[uploadMark] == upload:
		return nil // the server has checked that it is whole
	case errors.Is(failed, errConflict) && err == nil:
		return ErrExists
	case errors.Is(failed, errConflict):
		return fmt.Errorf("%w: somebody else was changing the key", ErrUnavailable)
	}
	return failed
}

// absent returns ErrExists if the key is taken.
func (s *S3) absent(ctx context.Context, name string) error {
	switch _, err := s.head(ctx, name); {
	case err == nil:
		return ErrExists
	case errors.Is(err, ErrNotFound):
		return nil
	default:
		return err
	}
}

func (s *S3) head(ctx context.Context, name string) (*s3.HeadObjectOutput, error) {
	short, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	out, err := s.client.HeadObject(short, &s3.HeadObjectInput{Bucket: &s.cfg.Bucket, Key: &name})
	return out, s.classify(ctx, "look up", err)
}

// Get opens the object under key. The caller closes it, and reads it to its
// end: only there does it show, as ErrDamaged, whether the server gave back
// what it was given.
func (s *S3) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	name := s.cfg.Prefix + key
	b := &body{outer: ctx, s: s}
	ctx, b.cancel = context.WithCancelCause(ctx)
	// The clock runs while we wait for the server, not while the caller works.
	b.clock = time.AfterFunc(s.cfg.Timeout, func() { b.cancel(errStalled) })
	out, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.cfg.Bucket, Key: &name, ChecksumMode: types.ChecksumModeEnabled})
	b.clock.Stop()
	if err != nil {
		b.cancel(nil)
		return nil, s.classify(b.outer, "get", err)
	}
	b.r, b.left = out.Body, aws.ToInt64(out.ContentLength)
	return b, nil
}

// body is the content of an object on its way.
type body struct {
	s      *S3
	r      io.ReadCloser
	outer  context.Context // the caller's
	cancel context.CancelCauseFunc
	clock  *time.Timer
	left   int64 // bytes that the server has promised
}

func (b *body) Read(p []byte) (int, error) {
	b.clock.Reset(b.s.cfg.Timeout)
	n, err := b.r.Read(p)
	b.clock.Stop()
	b.left -= int64(n)
	switch {
	case err == nil || err == io.EOF:
		return n, err
	case b.outer.Err() != nil:
		return n, b.outer.Err()
	case b.left == 0:
		// All of it came, and the library's reader has compared the checksum.
		return n, ErrDamaged
	}
	return n, fmt.Errorf("%w: get: %s", ErrUnavailable, cause(err))
}

func (b *body) Close() error {
	b.clock.Stop()
	b.cancel(nil) // an unread rest is not worth fetching
	_ = b.r.Close()
	return nil
}

// Of tells whose objects these are, as Belong noted it. ErrNotFound if nobody did.
func (s *S3) Of(ctx context.Context) (network string, err error) {
	short, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	out, err := s.client.GetObject(short, &s3.GetObjectInput{Bucket: &s.cfg.Bucket, Key: aws.String(s.cfg.Prefix + ofName)})
	if err != nil {
		return "", s.classify(ctx, "look whose objects these are", err)
	}
	defer func() { _ = out.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(out.Body, 1<<10))
	if err != nil {
		return "", fmt.Errorf("%w: look whose objects these are: %s", ErrUnavailable, cause(err))
	}
	return string(data), nil
}

// Belong notes whose objects these are, where nobody has. ErrOthers if somebody else has.
func (s *S3) Belong(ctx context.Context, network string) error {
	if of, err := s.Of(ctx); !errors.Is(err, ErrNotFound) {
		return belongs(of, network, err)
	}
	return s.putWhole(ctx, s.cfg.Prefix+ofName, newUpload(), []byte(network), false)
}

// Delete removes the object under key. That there is none is no error.
func (s *S3) Delete(ctx context.Context, key string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	return s.remove(ctx, s.cfg.Prefix+key)
}

func (s *S3) remove(ctx context.Context, name string) error {
	short, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	_, err := s.client.DeleteObject(short, &s3.DeleteObjectInput{Bucket: &s.cfg.Bucket, Key: &name})
	if err = s.classify(ctx, "remove", err); errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// Since tells when the object under key was put.
func (s *S3) Since(ctx context.Context, key string) (time.Time, error) {
	if err := checkKey(key); err != nil {
		return time.Time{}, err
	}
	out, err := s.head(ctx, s.cfg.Prefix+key)
	if err != nil {
		return time.Time{}, err
	}
	return aws.ToTime(out.LastModified), nil
}

// List yields the keys that start with prefix, in order. The prefix is empty
// or has the shape of a key. After an error nothing more is yielded.
func (s *S3) List(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if prefix != "" && (!keyShape.MatchString(prefix) || len(prefix) > maxKey) {
			yield("", ErrKey)
			return
		}
		for o, err := range s.objects(ctx, s.cfg.Prefix+prefix) {
			if err != nil {
				yield("", err)
				return
			}
			// What else lies in the bucket is not ours.
			key := strings.TrimPrefix(aws.ToString(o.Key), s.cfg.Prefix)
			if checkKey(key) == nil && !yield(key, nil) {
				return
			}
		}
	}
}

// objects yields what lies below a name, page by page.
func (s *S3) objects(ctx context.Context, name string) iter.Seq2[types.Object, error] {
	return func(yield func(types.Object, error) bool) {
		pages := s3.NewListObjectsV2Paginator(s.client, &s3.ListObjectsV2Input{Bucket: &s.cfg.Bucket, Prefix: &name},
			func(o *s3.ListObjectsV2PaginatorOptions) { o.StopOnDuplicateToken = true })
		for pages.HasMorePages() {
			short, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
			page, err := pages.NextPage(short)
			cancel()
			if err != nil {
				yield(types.Object{}, s.classify(ctx, "list", err))
				return
			}
			for _, o := range page.Contents {
				if !yield(o, nil) {
					return
				}
			}
		}
	}
}

// CollectTemp drops unfinished uploads older than 24 hours, which a crash left
// behind, and returns how many it dropped. A rule of the bucket's that does
// the same may stand beside it.
func (s *S3) CollectTemp(ctx context.Context) (removed int, err error) {
	old := func(t *time.Time) bool { return t != nil && s.cfg.Now().Sub(*t) > orphanAge }
	pages := s3.NewListMultipartUploadsPaginator(s.client, &s3.ListMultipartUploadsInput{Bucket: &s.cfg.Bucket, Prefix: &s.cfg.Prefix})
	for pages.HasMorePages() {
		short, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
		page, err := pages.NextPage(short)
		cancel()
		if err != nil {
			return removed, s.classify(ctx, "list uploads", err)
		}
		for _, u := range page.Uploads {
			if !old(u.Initiated) {
				continue
			}
			if err := s.abort(ctx, aws.ToString(u.Key), aws.ToString(u.UploadId)); err != nil {
				return removed, err
			}
			removed++
		}
	}
	for o, err := range s.objects(ctx, s.cfg.Prefix+probeDir) {
		if err != nil {
			return removed, err
		}
		if !old(o.LastModified) {
			continue
		}
		if err := s.remove(ctx, aws.ToString(o.Key)); err != nil {
			return removed, err
		}
		removed++
	}
	return removed, nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum is a CRC-32C as S3 writes it.
func checksum(sum uint32) *string {
	return aws.String(base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, sum)))
}

// newUpload returns the mark of one Put: 128 random bits in hex.
func newUpload() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never returns an error
	return hex.EncodeToString(b[:])
}
