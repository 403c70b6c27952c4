package hcvault_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/internal/hcvault"
	"github.com/safeconduct/safeconduct/internal/keystore"
)

// bulk is how many digests one round of BenchmarkBulk signs.
const bulk = 2000

// BenchmarkBulk signs the same digests through SignBatch, which names the
// version of the key, bounds the calls and verifies each signature, and by bare
// calls of transit's batch_input with the answers decoded and nothing checked.
// Both have 500 in a call and one call on its way. Rounds take turns, so
// that what else the machine does is in both. It prints our rate as a part of
// the engine's, the median of the rounds.
func BenchmarkBulk(b *testing.B) {
	v, cfg, p := network(b)
	_, _, err := keystore.New(v).NewAgency(b.Context(), "aa01")
	must(b, err)
	digests := make([][]byte, bulk)
	for i := range digests {
		digests[i] = make([]byte, 32)
		_, _ = rand.Read(digests[i])
	}
	raw := rawSigner(b, p, cfg)
	var ours, engine []time.Duration
	var ratios []float64
	for b.Loop() {
		began := time.Now()
		_, signatures, err := signBatch(b.Context(), v, "aa01", digests)
		took := time.Since(began)
		must(b, err)
		if len(signatures) != bulk {
			b.Fatalf("%d signatures", len(signatures))
		}
		began = time.Now()
		if n := raw(b.Context(), digests); n != bulk {
			b.Fatalf("%d raw signatures", n)
		}
		bare := time.Since(began)
		ours, engine = append(ours, took), append(engine, bare)
		ratios = append(ratios, bare.Seconds()/took.Seconds())
	}
	middle := func(all []time.Duration) float64 {
		slices.Sort(all)
		return bulk / all[len(all)/2].Seconds()
	}
	slices.Sort(ratios)
	b.ReportMetric(middle(ours), "ours/s")
	b.ReportMetric(middle(engine), "engine/s")
	b.ReportMetric(ratios[len(ratios)/2], "ratio")
	b.ReportMetric(0, "ns/op")
}

// rawSigner signs by bare HTTP calls, as somebody would who wants the engine's
// rate and nothing else.
func rawSigner(b *testing.B, p *place, cfg hcvault.Config) func(ctx context.Context, digests [][]byte) int {
	b.Helper()
	c := p.client(b, "root")
	client := c.CloneConfig().HttpClient
	path := cfg.Address + "/v1/" + cfg.Mount + "/sign/" + cfg.Prefix + "-sign-aa01"
	call := func(ctx context.Context, digests [][]byte) (int, error) {
		batch := make([]map[string]string, len(digests))
		for i, d := range digests {
			batch[i] = map[string]string{"input": base64.StdEncoding.EncodeToString(d)}
		}
		body, err := json.Marshal(map[string]any{"batch_input": batch, "prehashed": true, "hash_algorithm": "sha2-256", "marshaling_algorithm": "jws"})
		if err != nil {
			return 0, err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, path, bytes.NewReader(body))
		if err != nil {
			return 0, err
		}
		req.Header.Set("X-Vault-Token", "root")
		req.Header.Set("X-Vault-Request", "true")
		resp, err := client.Do(req)
		if err != nil {
			return 0, err
		}
		defer func() { _ = resp.Body.Close() }()
		var answer struct {
			Data struct {
				Results []struct {
					Signature string `json:"signature"`
				} `json:"batch_results"`
			} `json:"data"`
		}
		data, err := io.ReadAll(resp.Body)
		if err == nil {
			err = json.Unmarshal(data, &answer)
		}
		if err == nil && resp.StatusCode != http.StatusOK {
			err = fmt.Errorf("status %d", resp.StatusCode)
		}
		return len(answer.Data.Results), err
	}
	return func(ctx context.Context, digests [][]byte) int {
		total := 0
		for batch := range slices.Chunk(digests, 500) {
			n, err := call(ctx, batch)
			if err != nil {
				b.Fatal(err)
			}
			total += n
		}
		return total
	}
}
