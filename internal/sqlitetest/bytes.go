package sqlitetest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"testing"
)

// Span is some bytes of a file.
type Span struct{ From, To int64 }

// Header and Pages are what Stored calls the bytes that belong to no table: the file's
// first hundred, and what pages say of themselves.
const (
	Header = "the file's header"
	Pages  = "the pages' own"
)

// Stored tells where in a file that nobody has open lies what SQLite reads of it: of each
// table and each index the cells, and the pages' own bytes
// (https://sqlite.org/fileformat2.html). What is in none of them nobody relies on: the room that a
// page has left, free pages, the row numbers of tables with another key, and of the file's
// header what only tells of the program that wrote it.
func Stored(t testing.TB, path string) map[string][]Span {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	db := Open(t, path)
	// A table whose key is no number of its own has row numbers that mean nothing.
	rows, err := db.QueryContext(t.Context(), `SELECT name, rootpage,
		EXISTS (SELECT 1 FROM pragma_table_info(s.name) WHERE pk > 0 AND type = 'INTEGER') FROM sqlite_schema s WHERE rootpage > 0`)
	if err != nil {
		t.Fatal(err)
	}
	roots, numbered := map[string]int{"sqlite_schema": 1}, map[string]bool{}
	for rows.Next() {
		var name string
		var root int
		var own bool
		if err := rows.Scan(&name, &root, &own); err != nil {
			t.Fatal(err)
		}
		roots[name], numbered[name] = root, own
	}
	if err := errors.Join(rows.Err(), rows.Close(), db.Close()); err != nil {
		t.Fatal(err)
	}
	f := &file{data: data, size: int(binary.BigEndian.Uint16(data[16:])), numbered: numbered, found: map[string][]Span{Header: {{0, 24}, {28, 40}}}}
	if f.size == 1 {
		f.size = 1 << 16
	}
	f.usable = f.size - int(data[20])
	for name, root := range roots {
		if err := f.tree(name, root); err != nil {
			t.Fatalf("%s of %s: %v", name, path, err)
		}
	}
	return f.found
}

// file is a SQLite file as bytes.
type file struct {
	data         []byte
	size, usable int
	numbered     map[string]bool // tables whose row numbers mean something
	found        map[string][]Span
}

func (f *file) add(of string, from, to int) {
	f.found[of] = append(f.found[of], Span{int64(from), int64(to)})
}

// The four kinds of pages of a tree.
const (
	innerIndex, innerTable = 2, 5
	leafIndex, leafTable   = 10, 13
)

// tree goes through a tree from one of its pages on.
func (f *file) tree(of string, page int) error {
	start := (page - 1) * f.size
	if page < 1 || start+f.size > len(f.data) {
		return fmt.Errorf("there is no page %d", page)
	}
	at := start
	if page == 1 {
		at += 100
	}
	kind, cells, head := f.data[at], int(binary.BigEndian.Uint16(f.data[at+3:])), 8
	inner := kind == innerIndex || kind == innerTable
	if inner {
		head = 12
	}
	f.add(Pages, at, at+head+2*cells)
	for i := range cells {
		cell := start + int(binary.BigEndian.Uint16(f.data[at+head+2*i:]))
		if inner {
			if err := f.tree(of, int(binary.BigEndian.Uint32(f.data[cell:]))); err != nil {
				return err
			}
		}
		if err := f.cell(of, kind, cell); err != nil {
			return err
		}
	}
	if inner {
		return f.tree(of, int(binary.BigEndian.Uint32(f.data[at+8:])))
	}
	return nil
}

// cell is one row of a table, or one key of an index or of a tree's inner page, with the
// pages that it goes on in.
func (f *file) cell(of string, kind byte, from int) error {
	at := from
	if kind == innerIndex || kind == innerTable {
		at += 4
	}
	if kind == innerTable {
		_, n := varint(f.data[at:])
		if !f.numbered[of] {
			n = 0
		}
		f.add(of, from, at+n)
		return nil
	}
	size, n := varint(f.data[at:])
	at += n
	if kind == leafTable {
		_, n := varint(f.data[at:])
		if !f.numbered[of] {
			f.add(of, from, at)
			from = at + n
		}
		at += n
	}
	here := f.local(kind, int(size)) //nolint:gosec // of a file that we wrote
	left := int(size) - here         //nolint:gosec // the same
	if left == 0 {
		f.add(of, from, at+here)
		return nil
	}
	f.add(of, from, at+here+4)
	for next := int(binary.BigEndian.Uint32(f.data[at+here:])); left > 0; {
		start := (next - 1) * f.size
		if next < 1 || start+f.size > len(f.data) {
			return fmt.Errorf("there is no page %d", next)
		}
		some := min(left, f.usable-4)
		f.add(of, start, start+4+some)
		left -= some
		next = int(binary.BigEndian.Uint32(f.data[start:]))
	}
	return nil
}

// local is how much of a cell lies in its own page.
func (f *file) local(kind byte, size int) int {
	most := f.usable - 35
	if kind != leafTable {
		most = (f.usable-12)*64/255 - 23
	}
	if size <= most {
		return size
	}
	least := (f.usable-12)*32/255 - 23
	if here := least + (size-least)%(f.usable-4); here <= most {
		return here
	}
	return least
}

func varint(b []byte) (v uint64, n int) {
	for n < 8 {
		v = v<<7 | uint64(b[n]&0x7f)
		n++
		if b[n-1] < 0x80 {
			return v, n
		}
	}
	return v<<8 | uint64(b[8]), 9
}
