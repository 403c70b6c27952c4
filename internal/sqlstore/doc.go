// Package sqlstore keeps what the domain rooms store in SQL: attestations,
// cases, the network's members and the log's leaves in one database, the key
// files of records in a second one of its own. Every change goes through one
// transaction that also appends the audit entries it must not happen without.
// No column, key or index holds text about a person: only ciphertext, keyed
// hashes, random ids and dates rounded to the day.
//
// The databases are SQLite files or schemas of PostgreSQL, and where they are
// opened decides which. All queries are the same for both, and so are the
// migrations, in which three expressions are put into PostgreSQL's words
// (migrate.go); where that is not enough, a migration has a file for each
// engine. In both one transaction writes at a time. What is
// different stands behind the interface engine, and why it is so in
// docs/decisions/0008-postgresql.md.
//
// What a row means, who may write it and every key that opens it are left to
// the domain rooms.
package sqlstore
