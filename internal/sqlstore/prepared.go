package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"

	"modernc.org/sqlite"
)

// SQLite takes as long to prepare most of our statements as to run them, and this driver
// of it prepares each anew. So a connection keeps those that it has prepared, as pgx does
// for PostgreSQL: nobody who writes a query has to think of it.

// maxPrepared is how many statements a connection keeps. There are fewer in this package,
// but those of a dump and of a migration come in many forms.
const maxPrepared = 256

// openSQLiteDB opens a pool of connections that prepare each statement once.
func openSQLiteDB(dsn string) (*sql.DB, error) {
	c, err := sqlite.NewConnector(dsn)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(preparing{c}), nil
}

// preparing opens such connections.
type preparing struct{ driver.Connector }

// Connect opens one.
func (p preparing) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := p.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	whole, ok := conn.(sqliteConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("sqlstore: a connection cannot do what this package needs: %T", conn), conn.Close())
	}
	return &preparingConn{whole, map[string]*prepared{}}, nil
}

// sqliteConn is what the driver's connections can do.
type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// preparingConn is a connection with the statements that it has prepared. Like every
// connection of database/sql it is used by one goroutine at a time.
type preparingConn struct {
	sqliteConn

	kept map[string]*prepared
}

type prepared struct {
	sqliteStmt

	busy bool // its rows are being read
}

type sqliteStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// repeats reports whether a statement is of a kind that is prepared once. What changes
// settings or the schema takes effect when it is prepared.
func repeats(query string) bool {
	query = strings.TrimLeft(query, " \t\n")
	for _, kind := range []string{"SELECT ", "INSERT ", "UPDATE ", "DELETE ", "WITH "} {
		if strings.HasPrefix(query, kind) {
			return true
		}
	}
	return false
}

// ready is a statement that is prepared, or nil where one has to be prepared for once.
func (c *preparingConn) ready(ctx context.Context, query string) (*prepared, error) {
	if known := c.kept[query]; known != nil {
		if known.busy {
			return nil, nil
		}
		return known, nil
	}
	if !repeats(query) {
		return nil, nil
	}
	if len(c.kept) == maxPrepared {
		if err := c.forget(); err != nil {
			return nil, err
		}
	}
	s, err := c.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	whole, ok := s.(sqliteStmt)
	if !ok {
		return nil, s.Close()
	}
	c.kept[query] = &prepared{sqliteStmt: whole}
	return c.kept[query], nil
}

// forget closes all statements that nobody reads from.
func (c *preparingConn) forget() (err error) {
	for query, s := range c.kept {
		if !s.busy {
			err = errors.Join(err, s.Close())
			delete(c.kept, query)
		}
	}
	return err
}

// ExecContext runs a statement that gives no rows.
func (c *preparingConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	s, err := c.ready(ctx, query)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return c.sqliteConn.ExecContext(ctx, query, args)
	}
	return s.ExecContext(ctx, args)
}

// QueryContext runs a statement that gives rows.
func (c *preparingConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	s, err := c.ready(ctx, query)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return c.sqliteConn.QueryContext(ctx, query, args)
	}
	rows, err := s.QueryContext(ctx, args)
	if err != nil {
		return nil, err
	}
	s.busy = true
	return &preparedRows{rows, s}, nil
}

// Close closes the statements with the connection.
func (c *preparingConn) Close() error { return errors.Join(c.forget(), c.sqliteConn.Close()) }

// preparedRows are rows that a statement is busy with until they are closed.
type preparedRows struct {
	driver.Rows

	of *prepared
}

// Close lets the statement be used again.
func (r *preparedRows) Close() error {
	r.of.busy = false
	return r.Rows.Close()
}
