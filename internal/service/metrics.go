package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/internal/blobs"
	"github.com/safeconduct/safeconduct/internal/httpapi"
	"github.com/safeconduct/safeconduct/internal/keystore"
	"github.com/safeconduct/safeconduct/internal/sqlstore"
	"github.com/safeconduct/safeconduct/internal/trouble"
	"github.com/safeconduct/safeconduct/vault"
)

// Metrics counts what the service does, for Prometheus. Every label comes from
// a list that is closed when the program is built: a route of the contract, a
// role, an operation. So a client cannot make more of them, and none holds an
// id (docs/operate.md, Metrics). A nil *Metrics counts nothing.
type Metrics struct {
	registry *prometheus.Registry

	used     *prometheus.Registry // what the process uses: read once an hour
	usedThen interface {
		prometheus.Gatherer
		read()
	}
	held held

	requests  *prometheus.HistogramVec
	inFlight  prometheus.Gauge
	keystore  *prometheus.HistogramVec
	keyErrors *prometheus.CounterVec
	objects   *prometheus.CounterVec
	chores    *prometheus.CounterVec
	choreDone *prometheus.GaugeVec
	settled   prometheus.Counter
	orphans   prometheus.Counter
}

// NewMetrics returns counters at zero.
func NewMetrics() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(), used: prometheus.NewRegistry(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "safeconduct_request_seconds", Help: "How long requests took, by route of the contract.",
			// As coarse as the access log: exact times tell requests apart.
			Buckets: []float64{0.01, 0.1, 1, 10},
		}, []string{"method", "route", "status", "role"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "safeconduct_requests_in_flight", Help: "Requests that are being answered.",
		}),
		keystore: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "safeconduct_keystore_seconds", Help: "How long calls to the keystore took.",
			Buckets: keyBuckets,
		}, []string{"operation"}),
		keyErrors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "safeconduct_keystore_failures_total", Help: "Calls to the keystore that ended with an error.",
		}, []string{"operation", "outcome"}),
		objects: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "safeconduct_object_errors_total", Help: "Calls to the store of encrypted pages that ended with an error.",
		}, []string{"operation", "outcome"}),
		chores: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "safeconduct_chores_total", Help: "Chores of the service, publishing among them.",
		}, []string{"chore", "outcome"}),
		choreDone: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "safeconduct_chore_last_success_seconds", Help: "When a chore last ended well, in seconds since 1970.",
		}, []string{"chore"}),
		settled: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "safeconduct_drafts_settled_total", Help: "Drafts that a crash had left behind and that were settled.",
		}),
	}
	m.orphans = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "safeconduct_orphans_removed_total", Help: "Ciphertexts that no row had named for a month and that were removed.",
	})
	m.registry.MustRegister(m.requests, m.inFlight, m.keystore, m.keyErrors, m.objects, m.chores, m.choreDone, m.settled, m.orphans)
	m.used.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.usedThen = newStill(m.used.Gather)
	m.usedThen.read()
	// What nothing has happened to yet is there with zero: an alarm on a rate
	// needs a number to begin from.
	for _, operation := range keystoreOperations {
		m.keystore.WithLabelValues(operation)
		for _, outcome := range []string{"unavailable", "bad_response", "denied", "failed"} {
			m.keyErrors.WithLabelValues(operation, outcome)
		}
	}
	for _, operation := range []string{"put", "get", "since", "delete", "list", "collect"} {
		for _, outcome := range []string{"full", "damaged", "unavailable", "failed"} {
			m.objects.WithLabelValues(operation, outcome)
		}
	}
	for _, chore := range (&Service{}).chores(0) {
		m.chores.WithLabelValues(chore.name, "ok")
		m.chores.WithLabelValues(chore.name, "failed")
	}
	return m
}

// observe counts one request of the HTTP face, or all of an hour that were alike.
func (m *Metrics) observe() func(httpapi.Observed) {
	if m == nil {
		return func(httpapi.Observed) {}
	}
	m.inFlight.Inc()
	return func(o httpapi.Observed) {
		m.inFlight.Dec()
		class := strconv.Itoa(o.Status/100) + "xx"
		for range o.Times {
			m.requests.WithLabelValues(o.Method, o.Route, class, o.Role).Observe(rounded(o.Took).Seconds())
		}
	}
}

// rounded is the upper bound of a latency's bucket: the sum of a histogram
// would tell how long a single request between two scrapes took.
func rounded(d time.Duration) time.Duration {
	for _, limit := range []time.Duration{10 * time.Millisecond, 100 * time.Millisecond, time.Second, 10 * time.Second} {
		if d <= limit {
			return limit
		}
	}
	return time.Minute
}

// settle counts drafts that were ended for somebody who could not.
func (m *Metrics) settle(n int) {
	if m != nil {
		m.settled.Add(float64(n))
	}
}

// orphan counts ciphertexts that were removed because no row names them.
func (m *Metrics) orphan(n int) {
	if m != nil {
		m.orphans.Add(float64(n))
	}
}

// chore counts one run of a chore.
func (m *Metrics) chore(name string, err error) {
	switch {
	case m == nil:
	case err != nil:
		m.chores.WithLabelValues(name, "failed").Inc()
	default:
		m.chores.WithLabelValues(name, "ok").Inc()
		m.choreDone.WithLabelValues(name).SetToCurrentTime()
	}
}

// outcome says in one of few words how a call ended.
func outcome(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, trouble.ErrKeystore), errors.Is(err, blobs.ErrUnavailable):
		return "unavailable"
	case errors.Is(err, trouble.ErrWrongAnswer):
		return "bad_response"
	case errors.Is(err, keystore.ErrRefused):
		return "denied"
	case errors.Is(err, blobs.ErrFull):
		return "full"
	case errors.Is(err, blobs.ErrDamaged):
		return "damaged"
	default:
		return "failed"
	}
}

// countedObjects counts what goes wrong among the encrypted pages.
func (m *Metrics) countedObjects(o Objects) Objects {
	if m == nil {
		return o
	}
	return countedObjects{o, m}
}

type countedObjects struct {
	Objects
	m *Metrics
}

// count leaves alone what is an answer and no error: that there is no such
// object.
func (c countedObjects) count(operation string, err error) {
	if err != nil && !errors.Is(err, vault.ErrNotFound) && !errors.Is(err, fs.ErrNotExist) {
		c.m.objects.WithLabelValues(operation, outcome(err)).Inc()
	}
}

func (c countedObjects) Put(ctx context.Context, key string, r io.Reader) (int64, error) {
	n, err := c.Objects.Put(ctx, key, r)
	c.count("put", err)
	return n, err
}

func (c countedObjects) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	r, err := c.Objects.Get(ctx, key)
	c.count("get", err)
	return r, err
}

func (c countedObjects) Since(ctx context.Context, key string) (time.Time, error) {
	t, err := c.Objects.Since(ctx, key)
	c.count("since", err)
	return t, err
}

func (c countedObjects) Delete(ctx context.Context, key string) error {
	err := c.Objects.Delete(ctx, key)
	c.count("delete", err)
	return err
}

func (c countedObjects) List(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for key, err := range c.Objects.List(ctx, prefix) {
			c.count("list", err)
			if !yield(key, err) {
				return
			}
		}
	}
}

func (c countedObjects) CollectTemp(ctx context.Context) (int, error) {
	n, err := c.Objects.CollectTemp(ctx)
	c.count("collect", err)
	return n, err
}

// scrapeTime bounds what a scrape asks of the engines.
const scrapeTime = 2 * time.Second

// behind is how many windows entries of the log wait beyond the next one. How many wait
// now would move with each act.
func (s *Service) behind(ctx context.Context) (int64, error) {
	waiting, err := s.DB.Log().Waiting(ctx)
	return max(0, audit.Backlog(waiting)-1), err
}

// Watch adds what is asked at each scrape: how old what was published is, how
// long the log is, and whether the service can work. How busy the databases are is asked
// by the hour.
func (m *Metrics) Watch(s *Service) {
	m.settled.Add(float64(s.Settled))
	gauge := func(name, help string, ask func() float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, ask))
	}
	gauge("safeconduct_pack_age_seconds", "Age of the newest pack.", func() float64 {
		return s.ages().pack.Seconds()
	})
	gauge("safeconduct_lists_age_seconds", "Age of the oldest status list in the newest pack.", func() float64 {
		return s.ages().lists.Seconds()
	})
	for _, one := range []struct {
		name, help string
		ask        func(context.Context) (int64, error)
	}{
		{"safeconduct_log_leaves", "Leaves of the log that have a number; -1 when the database does not say.", s.DB.Log().Size},
		{"safeconduct_log_behind", "Windows that entries of the log wait beyond the next one; -1 when the database does not say.", s.behind},
	} {
		gauge(one.name, one.help, func() float64 {
			ctx, cancel := context.WithTimeout(context.Background(), scrapeTime)
			defer cancel()
			n, err := one.ask(ctx)
			if err != nil {
				return -1
			}
			return float64(n)
		})
	}
	gauge("safeconduct_ready", "Whether the service can work now, as /readyz says it.", func() float64 {
		ctx, cancel := context.WithTimeout(context.Background(), scrapeTime)
		defer cancel()
		if s.ready(ctx) != nil {
			return 0
		}
		return 1
	})
	m.watchPools(map[string]func() (write, read sqlstore.Pool){"data": s.DB.Pools, "keyring": s.Keyring.Pools})
	m.usedThen.read()
}

// watchPools has the connections of databases told by the hour: a check has something
// written down as well, and may wait for it.
func (m *Metrics) watchPools(of map[string]func() (write, read sqlstore.Pool)) {
	for name, pools := range of {
		for use, pool := range map[string]func() sqlstore.Pool{
			"write": func() sqlstore.Pool { w, _ := pools(); return w },
			"read":  func() sqlstore.Pool { _, r := pools(); return r },
		} {
			labels := prometheus.Labels{"database": name, "use": use}
			gauge := func(name, help string, ask func() float64) {
				m.used.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}, ask))
			}
			counter := func(name, help string, ask func() float64) {
				m.used.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels}, ask))
			}
			gauge("safeconduct_database_connections", "Open connections.", func() float64 { return float64(pool().Open) })
			gauge("safeconduct_database_connections_in_use", "Connections that somebody works on.", func() float64 { return float64(pool().InUse) })
			counter("safeconduct_database_waits_total", "Calls that had to wait for a connection.", func() float64 { return float64(pool().Waits) })
			counter("safeconduct_database_wait_seconds_total", "How long they waited together.", func() float64 { return pool().Waited.Seconds() })
		}
	}
}

type ages struct{ pack, lists time.Duration }

// ages is how old what everybody fetches is.
func (s *Service) ages() (a ages) {
	pack, err := s.Board.Pack(context.Background())
	if err != nil || pack == nil {
		return a
	}
	now := s.cfg.Now()
	a.pack = now.Sub(pack.Issued())
	for _, signed := range pack.ListDates() {
		a.lists = max(a.lists, now.Sub(signed))
	}
	return a
}

// metricsListener opens the address of --metrics. What a scrape tells is no
// secret of a person's, and still nobody else's business.
func metricsListener(ctx context.Context, address string, open bool) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("--metrics: %w", err)
	}
	if a, ok := l.Addr().(*net.TCPAddr); !open && (!ok || !a.IP.IsLoopback()) {
		return nil, errors.Join(errors.New("--metrics: not an address of this machine alone; --metrics-open allows it"), l.Close())
	}
	return l, nil
}

// handler answers GET /metrics, and nothing else.
func (m *Metrics) handler(open bool) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(prometheus.Gatherers{m.registry, m.usedThen}, promhttp.HandlerOpts{
		MaxRequestsInFlight: 4, Timeout: 2 * scrapeTime, DisableCompression: true,
	}))
	if open {
		return mux
	}
	return LocalOnly(mux)
}

// serve answers scrapes until ctx ends.
func (m *Metrics) serve(ctx context.Context, l net.Listener, open bool, log *slog.Logger) {
	server := &http.Server{
		Handler: m.handler(open), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second,
		WriteTimeout: 15 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 8 << 10,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), // its messages name addresses
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		log.ErrorContext(ctx, "metrics are not served any more")
	}
}
