package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/files"
	"github.com/safeconduct/safeconduct/verifier"
)

type packFlags struct {
	remote
	dir, deviceKey string
	json           bool
}

func packCommand() *cobra.Command {
	var f packFlags
	c := group("pack", "Look after a device's offline pack")
	add := func(use, short string, args cobra.PositionalArgs, run func(ctx context.Context, out io.Writer, args []string) error) *cobra.Command {
		sub := &cobra.Command{Use: use, Short: short, Args: args, RunE: func(c *cobra.Command, args []string) error {
			return run(c.Context(), c.OutOrStdout(), args)
		}}
		sub.Flags().StringVar(&f.dir, "dir", ".", "the folder that holds pack.json")
		sub.Flags().StringVar(&f.deviceKey, "device-key", "", "the device key file (default: pack.json.key in the folder)")
		sub.Flags().BoolVar(&f.json, "json", false, "print one JSON object")
		c.AddCommand(sub)
		return sub
	}
	add("show", "Say how old each list is, and until when the lease runs", cobra.NoArgs, f.show)
	add("import FILE", "Take a pack from a file or a USB stick, if it is not older", cobra.ExactArgs(1), f.importFile)
	fetch := add("fetch", "Get the newest pack from the service", cobra.NoArgs, f.fetch)
	f.flags(fetch, "this device's")
	return c
}

func (f *packFlags) path() string { return filepath.Join(f.dir, config.PackName) }

func (f *packFlags) keyPath() string {
	if f.deviceKey != "" {
		return f.deviceKey
	}
	return f.path() + ".key"
}

func (f *packFlags) device() (verifier.Device, error) {
	data, err := files.Read(f.keyPath(), verifier.MaxDevice)
	if err != nil {
		return verifier.Device{}, err
	}
	return verifier.ParseDevice(data)
}

func (f *packFlags) show(_ context.Context, out io.Writer, _ []string) error {
	device, err := f.device()
	if err != nil {
		return err
	}
	data, err := files.Read(f.path(), verifier.MaxPack)
	if err != nil {
		return err
	}
	now := time.Now()
	pack, err := verifier.OpenPack(data, device, now)
	if err != nil {
		return err
	}
	return f.describe(out, pack, now)
}

// describe prints the freshness of a pack: the strip that tells an officer how
// old what he relies on is.
func (f *packFlags) describe(out io.Writer, p *verifier.Pack, now time.Time) error {
	trust, dates := p.Trust(), p.ListDates()
	if f.json {
		return json.NewEncoder(out).Encode(map[string]any{
			"network": trust.Network, "name": trust.Name, "demo": trust.Demo, "sequence": p.Sequence(),
			"issued": p.Issued(), "lease_until": p.LeaseUntil(), "lists": dates, "agencies": len(trust.Agencies), "reopened": p.Reopened(),
		})
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\npack %d of %s, lease until %s\n%d agencies\n", trust.Name, p.Sequence(),
		p.Issued().Format("2006-01-02 15:04"), p.LeaseUntil().Format("2006-01-02 15:04"), len(trust.Agencies))
	if day := p.Reopened(); day != "" {
		fmt.Fprintln(&b, english("page.reopened", "date", day))
	}
	numbers := make([]uint16, 0, len(dates))
	for n := range dates {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	for _, n := range numbers {
		fmt.Fprintf(&b, "status list %d: %s old\n", n, now.Sub(dates[n]).Round(time.Minute))
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func (f *packFlags) importFile(_ context.Context, out io.Writer, args []string) error {
	data, err := files.Read(args[0], verifier.MaxPack)
	if err != nil {
		return err
	}
	return f.take(out, data)
}

// take accepts a pack: it must open for this device, now, and not be older
// than what the device has seen. The key file then remembers it, and of a pack that is
// refused whether the root has named another key meanwhile.
func (f *packFlags) take(out io.Writer, data []byte) error {
	device, err := f.device()
	if err != nil {
		return err
	}
	now := time.Now()
	pack, err := verifier.OpenPack(data, device, now)
	if not, ok := errors.AsType[*verifier.NotReadyError](err); ok {
		if kept := not.Kept(device); kept.TrustKeyIssued != device.TrustKeyIssued {
			err = errors.Join(err, f.keep(kept))
		}
		return err
	}
	if err != nil {
		return err
	}
	if err := errors.Join(files.Replace(f.path(), data), f.keep(pack.Accepted(device))); err != nil {
		return err
	}
	return f.describe(out, pack, now)
}

func (f *packFlags) keep(d verifier.Device) error {
	key, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return files.Replace(f.keyPath(), key)
}

func (f *packFlags) fetch(ctx context.Context, out io.Writer, _ []string) error {
	var file verifier.File
	if err := f.call(ctx, http.MethodGet, "/pack", "", nil, &file.Lists); err != nil {
		return err
	}
	var sealed struct {
		Envelope string `json:"envelope"`
	}
	if err := f.as(ctx, http.MethodGet, "/api/v1/devices/self/envelope", nil, &sealed); err != nil {
		return err
	}
	file.Envelope = sealed.Envelope
	data, err := verifier.MarshalFile(file)
	if err != nil {
		return err
	}
	return f.take(out, data)
}
