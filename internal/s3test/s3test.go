// Package s3test runs a real S3 server for tests: versitygw, which nobody here
// wrote, over a temporary folder. It is linked into tests only, and leaves
// every expectation to them.
package s3test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/internal/blobs"
)

const (
	bucket    = "objects"
	accessKey = "test-access"
	secretKey = "test-secret-of-no-worth"
)

// Server is an S3 server with one empty bucket. It ends with its test, and if
// the test dies, with that.
type Server struct {
	// Config opens the bucket.
	Config blobs.S3Config
	// Folder is where the bucket lies. An object is a file of the name of its
	// key, so that a test can damage it behind the server's back.
	Folder string

	t    *testing.T
	argv []string
	end  io.Closer // ends the process when closed
	wait func() error
}

// Version is the release of versitygw that scripts/versitygw.sh builds.
const Version = "v1.8.0"

// Config opens the bucket of a server that runs at endpoint.
func Config(endpoint string) blobs.S3Config {
	return blobs.S3Config{
		Endpoint: endpoint, Region: "us-east-1", Bucket: bucket, PathStyle: true,
		AccessKey: accessKey, SecretKey: private.New(secretKey), Timeout: 20 * time.Second,
	}
}

// Run runs a server until the end of the test. options come before its folder:
// versitygw posix options... folder. Without the program, or a way
// to build it, the test is skipped; with CI=true it fails.
func Run(t *testing.T, options ...string) *Server {
	t.Helper()
	program, err := program()
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	root := t.TempDir()
	s := &Server{t: t, Folder: filepath.Join(root, bucket)}
	if err := os.Mkdir(s.Folder, 0o700); err != nil {
		t.Fatal(err)
	}
	address := free(t)
	s.argv = append([]string{program, "--access", accessKey, "--secret", secretKey, "--quiet", "--keep-alive", "--port", address, "posix"}, options...)
	s.argv = append(s.argv, root)
	s.Config = Config("http://" + address)
	t.Cleanup(s.Stop)
	s.Restart()
	return s
}

// Restart starts the server again, at the same address and with what it kept.
func (s *Server) Restart() {
	s.t.Helper()
	s.Stop()
	// The shell holds one end of a pipe whose other end is ours: if we die, it
	// notices and takes the server with it.
	const script = `"$@" & server=$!; cat; kill -9 $server; wait $server 2>/dev/null`
	cmd := exec.Command("sh", append([]string{"-c", script, "sh"}, s.argv...)...) //nolint:gosec // our own script and program
	pipe, err := cmd.StdinPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.end, s.wait = pipe, cmd.Wait
	for range 200 {
		// Any answer will do, also a refusal.
		answer, err := http.Get(s.Config.Endpoint)
		if err == nil {
			_ = answer.Body.Close()
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	s.Stop()
	s.t.Fatalf("versitygw does not answer:\n%s", said.String())
}

// Stop kills the server, as a power cut does.
func (s *Server) Stop() {
	if s.end == nil {
		return
	}
	_ = s.end.Close()
	_ = s.wait() // the shell's status says nothing
	s.end = nil
}

// free returns an address on loopback that nobody listens on.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return address
}

// program finds versitygw, and builds it the first time.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		script := filepath.Join(dir, "scripts", "versitygw.sh")
		if _, err := os.Stat(script); err == nil {
			var said strings.Builder
			cmd := exec.Command(script) //nolint:gosec // our own script
			cmd.Stderr = &said
			out, err := cmd.Output()
			if err != nil {
				return "", fmt.Errorf("build versitygw: %w\n%s", err, said.String())
			}
			return strings.TrimSpace(string(out)), nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("scripts/versitygw.sh is nowhere above the test")
		}
		dir = up
	}
})

// SetVersioning switches the versions of the bucket: Enabled or Suspended. The
// server was run with --versioning-dir.
func (s *Server) SetVersioning(status string) {
	s.t.Helper()
	cfg := s.Config
	client := s3.New(s3.Options{
		Region: cfg.Region, BaseEndpoint: aws.String(cfg.Endpoint), UsePathStyle: true,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey}, nil
		}),
	})
	_, err := client.PutBucketVersioning(s.t.Context(), &s3.PutBucketVersioningInput{
		Bucket:                  aws.String(bucket),
		VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatus(status)},
	})
	if err != nil {
		s.t.Fatal(err)
	}
}
