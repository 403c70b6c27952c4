package signer

import (
	"context"
	"crypto/ed25519"
	"errors"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/internal/keystore"
	"github.com/safeconduct/safeconduct/internal/trouble"
)

const (
	// maxInFlight is how many questions are under way at once; more wait.
	maxInFlight = 64
	// maxIdle is how many connections are kept for the next questions.
	maxIdle = 16
	// usual is how long a question may take whose asker sets no end, and patient
	// that for one which writes the key file anew: its passphrase is stretched.
	usual, patient = 20 * time.Second, time.Minute
	// maxBatch is how much is sent to be signed with one question, in bytes.
	maxBatch = 4 << 20
)

// changes are the questions that make or end keys, or tell the signer something.
var changes = []op{opAdopt, opNewAgency, opRotateAgency, opRotate, opRetireSigning, opRotateWrapping, opRetireWrapping}

// Client is a Store whose keys are behind a socket. It is safe for use by many
// goroutines, and goes on by itself when a signer that ended is there again.
type Client struct {
	connect func(ctx context.Context) (net.Conn, error)
	turns   chan struct{}

	mu     sync.Mutex
	idle   []net.Conn
	closed bool

	handing sync.Mutex // one at a time
	follows *Roster    // nil until Follow
}

var _ keystore.Store = (*Client)(nil)

func newClient(connect func(ctx context.Context) (net.Conn, error)) *Client {
	return &Client{connect: connect, turns: make(chan struct{}, maxInFlight)}
}

// Dial returns the keys behind the socket at path, once they answer there.
func Dial(ctx context.Context, path string) (*Client, error) {
	c := at(path)
	return c, c.Ready(ctx)
}

// at is a Client of the socket at path.
func at(path string) *Client {
	return newClient(func(ctx context.Context) (net.Conn, error) {
		short, done, err := shortPath(path)
		if err != nil {
			return nil, err
		}
		defer done()
		return new(net.Dialer).DialContext(ctx, "unix", short)
	})
}

// Close ends the connections. Who asks afterwards gets ErrAway.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, conn := range c.idle {
		_ = conn.Close()
	}
	c.idle = nil
	return nil
}

func away(cause string) error {
	return &trouble.Later{Err: ErrAway, Cause: cause, After: time.Second}
}

// ask sends one question and waits for its answer.
func (c *Client) ask(ctx context.Context, q question) (answer, error) {
	within := usual
	if slices.Contains(changes, q.Op) {
		within = patient
	}
	ctx, done := context.WithTimeout(ctx, within)
	defer done()
	select {
	case c.turns <- struct{}{}:
		defer func() { <-c.turns }()
	case <-ctx.Done():
		return answer{}, away("it is busy")
	}
	for {
		conn, used, err := c.connection(ctx)
		if err != nil {
			return answer{}, err
		}
		a, err := talk(ctx, conn, q)
		if err == nil {
			c.keep(conn)
			return a, a.err()
		}
		_ = conn.Close()
		switch {
		case errors.Is(err, errLong):
			return answer{}, err
		case errors.Is(err, errFrame):
			return answer{}, ErrWrongAnswer
		case ctx.Err() != nil:
			return answer{}, away("it is too slow")
		case used && q.Op != opRotateWrapping:
			// The signer was started anew since. To ask twice does no harm: a second
			// signature over the same bytes says nothing else, and a signing key that is
			// replaced is named. Only a second key-encryption key would be one too many.
			continue
		}
		return answer{}, away("the connection to it was lost")
	}
}

// talk is one question and one answer on a connection.
func talk(ctx context.Context, conn net.Conn, q question) (a answer, err error) {
	end, _ := ctx.Deadline() // ask has set one
	if err := conn.SetDeadline(end); err != nil {
		return a, err
	}
	unwatch := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer unwatch()
	q.Within = uint32(max(1, time.Until(end).Milliseconds())) //nolint:gosec // at most a minute
	if err := write(conn, q); err != nil {
		return a, err
	}
	return a, read(conn, &a)
}

// connection is one that is idle, or a new one.
func (c *Client) connection(ctx context.Context) (conn net.Conn, used bool, err error) {
	c.mu.Lock()
	if n := len(c.idle); n > 0 {
		conn, c.idle = c.idle[n-1], c.idle[:n-1]
	}
	closed := c.closed
	c.mu.Unlock()
	switch {
	case closed:
		return nil, false, away("the service is about to stop")
	case conn != nil:
		return conn, true, nil
	}
	if conn, err = c.connect(ctx); err != nil {
		return nil, false, away("nothing answers on its socket")
	}
	return conn, false, nil
}

// keep has a connection wait for the next question.
func (c *Client) keep(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || len(c.idle) >= maxIdle {
		_ = conn.Close()
		return
	}
	c.idle = append(c.idle, conn)
}

// Ready asks whether the keys can be used now.
func (c *Client) Ready(ctx context.Context) error {
	_, err := c.ask(ctx, question{Op: opReady})
	return err
}

// Public is the key that signs for a use now. ErrNoKey if there is none.
func (c *Client) Public(ctx context.Context, use keystore.Use) (keystore.Public, error) {
	return c.public(ctx, question{Op: opPublic, Use: string(use)})
}

// Publics are the keys that sign or have signed for a use.
func (c *Client) Publics(ctx context.Context, use keystore.Use) ([]keystore.Public, error) {
	a, err := c.ask(ctx, question{Op: opPublics, Use: string(use)})
	if err != nil {
		return nil, err
	}
	publics := make([]keystore.Public, len(a.Many))
	for i, der := range a.Many {
		if publics[i], err = keystore.PublicFrom(der); err != nil {
			return nil, err
		}
	}
	return publics, nil
}

func (c *Client) public(ctx context.Context, q question) (keystore.Public, error) {
	a, err := c.ask(ctx, q)
	if err != nil {
		return keystore.Public{}, err
	}
	return keystore.Public{KeyID: a.KeyID, DER: a.DER}, nil
}

// Sign has messages signed, in as few questions as their number allows.
func (c *Client) Sign(ctx context.Context, use keystore.Use, kid string, messages []keystore.Message) ([][]byte, error) {
	all := make([][]byte, 0, len(messages))
	for len(messages) > 0 {
		q, size := question{Op: opSign, Use: string(use), KeyID: kid, For: authorityOf(approval.Of(ctx))}, 0
		for _, m := range messages[:min(len(messages), maxMany)] {
			for _, d := range m.Shown {
				size += len(d)
			}
			if size += len(m.Bytes); size > maxBatch && len(q.Many) > 0 {
				break
			}
			q.Many = append(q.Many, message(m))
		}
		n := len(q.Many)
		a, err := c.informed(ctx, q)
		if err != nil {
			return nil, err
		}
		if len(a.Many) != n {
			return nil, ErrWrongAnswer
		}
		all, messages = append(all, a.Many...), messages[n:]
	}
	return all, nil
}

// LogKeys are the texts by which strangers check the log's checkpoints.
func (c *Client) LogKeys(ctx context.Context) ([]string, error) {
	a, err := c.ask(ctx, question{Op: opLogKeys})
	if err != nil {
		return nil, err
	}
	vkeys := make([]string, len(a.Many))
	for i, vkey := range a.Many {
		vkeys[i] = string(vkey)
	}
	return vkeys, nil
}

// data is a question whose answer is bytes.
func (c *Client) data(ctx context.Context, q question) ([]byte, error) {
	a, err := c.ask(ctx, q)
	return a.Data, err
}

// SignLog has the text of one of the log's checkpoints signed.
func (c *Client) SignLog(ctx context.Context, kid string, text []byte) ([]byte, error) {
	a, err := c.informed(ctx, question{Op: opSignLog, KeyID: kid, Data: text, For: authorityOf(approval.Of(ctx))})
	return a.Data, err
}

// SignDerived signs with a key that is derived for one label and one network.
func (c *Client) SignDerived(ctx context.Context, label, network string, data []byte) ([]byte, error) {
	return c.data(ctx, question{Op: opSignDerived, Label: label, Network: network, Data: data})
}

// DerivedKey is the public half of the key of SignDerived.
func (c *Client) DerivedKey(ctx context.Context, label, network string) (ed25519.PublicKey, error) {
	key, err := c.data(ctx, question{Op: opDerivedKey, Label: label, Network: network})
	if err == nil && len(key) != ed25519.PublicKeySize {
		return nil, ErrWrongAnswer // a check with it would panic
	}
	return key, err
}

// NewAgency makes an agency's keys, or finds those it has.
func (c *Client) NewAgency(ctx context.Context, agency string) (keystore.Public, error) {
	a, err := c.informed(ctx, question{Op: opNewAgency, Agency: agency})
	return keystore.Public{KeyID: a.KeyID, DER: a.DER}, err
}

// Rotate makes a new key for one of the network's own uses, unless another one than
// before signs already.
func (c *Client) Rotate(ctx context.Context, use keystore.Use, before string) (keystore.Public, error) {
	a, err := c.informed(ctx, question{Op: opRotate, Use: string(use), KeyID: before})
	return keystore.Public{KeyID: a.KeyID, DER: a.DER}, err
}

// RotateAgency makes a new signing key for an agency that has one, unless another one than
// before signs already.
func (c *Client) RotateAgency(ctx context.Context, agency, before string) (keystore.Public, error) {
	a, err := c.informed(ctx, question{Op: opRotateAgency, Agency: agency, KeyID: before})
	return keystore.Public{KeyID: a.KeyID, DER: a.DER}, err
}

// Wrap encrypts a record's file key to an agency.
func (c *Client) Wrap(ctx context.Context, agency, record string, fileKey []byte) ([]byte, error) {
	return c.data(ctx, question{Op: opWrap, Agency: agency, Record: record, Data: fileKey})
}

// Unwrap reverses Wrap. ErrWrapped if the bytes belong to another record or agency.
func (c *Client) Unwrap(ctx context.Context, agency, record string, wrapped []byte) ([]byte, error) {
	return c.data(ctx, question{Op: opUnwrap, Agency: agency, Record: record, Data: wrapped})
}

// WrapEpoch encrypts an epoch's keys for keeping in a database.
func (c *Client) WrapEpoch(ctx context.Context, epoch uint32, plain []byte) ([]byte, error) {
	return c.data(ctx, question{Op: opWrapEpoch, Epoch: epoch, Data: plain})
}

// UnwrapEpoch reverses WrapEpoch. ErrWrapped if the bytes belong to another epoch.
func (c *Client) UnwrapEpoch(ctx context.Context, epoch uint32, wrapped []byte) ([]byte, error) {
	return c.data(ctx, question{Op: opUnwrapEpoch, Epoch: epoch, Data: wrapped})
}

// MAC is HMAC-SHA-256 under a key of its own for each label.
func (c *Client) MAC(ctx context.Context, label string, data []byte) ([]byte, error) {
	return c.data(ctx, question{Op: opMAC, Label: label, Data: data})
}

// Decoys is the key of a status list by which its decoys are known.
func (c *Client) Decoys(ctx context.Context, list uint16) ([]byte, error) {
	return c.data(ctx, question{Op: opDecoys, List: list})
}

// Receipt says what was signed last for a place of a status list.
func (c *Client) Receipt(ctx context.Context, list uint16, index uint32) ([]byte, error) {
	return c.data(ctx, question{Op: opReceipt, List: list, Index: index})
}

// Said is what the next list or checkpoint is held against.
func (c *Client) Said(ctx context.Context, address, newest string) (string, bool, error) {
	a, err := c.ask(ctx, question{Op: opSaid, Label: address, Data: []byte(newest), For: authorityOf(approval.Of(ctx))})
	return a.Text, a.Number == 1, err
}

// Generation rises with every change of the keys.
func (c *Client) Generation(ctx context.Context) (uint64, error) {
	a, err := c.ask(ctx, question{Op: opGeneration})
	return a.Number, err
}

// RetireSigning has the keystore refuse an agency's old signing keys, where it
// keeps versions.
func (c *Client) RetireSigning(ctx context.Context, agency string) error {
	_, err := c.ask(ctx, question{Op: opRetireSigning, Agency: agency})
	return err
}

// RotateWrapping makes a new key-encryption key for an agency.
func (c *Client) RotateWrapping(ctx context.Context, agency string) error {
	_, err := c.ask(ctx, question{Op: opRotateWrapping, Agency: agency})
	return err
}

// RetireWrapping has the keystore refuse an agency's old key-encryption keys.
func (c *Client) RetireWrapping(ctx context.Context, agency string) error {
	_, err := c.ask(ctx, question{Op: opRetireWrapping, Agency: agency})
	return err
}
