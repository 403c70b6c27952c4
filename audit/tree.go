package audit

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	tileHeight = 8               // c2sp.org/tlog-tiles: full tiles are 256 hashes wide
	tileWidth  = 1 << tileHeight // hashes in a full tile
	tileBytes  = tileWidth * tlog.HashSize

	// maxSize bounds the number of leaves, so that no arithmetic on sizes can
	// overflow. It is a million leaves a day for three thousand years.
	maxSize = 1 << 40
)

// emptyRoot is the root of a tree without leaves, RFC 6962 §2.1.
var emptyRoot = tlog.Hash(sha256.Sum256(nil))

// TileError is a tile that is missing, unreadable or wrong. Path is the name
// of its file.
type TileError struct {
	Path string
	Err  error
}

// Error names the file.
func (e *TileError) Error() string { return fmt.Sprintf("tile file %s: %v", e.Path, e.Err) }

// Unwrap returns Err: ErrTampered or ErrFork, or why the file cannot be read.
func (e *TileError) Unwrap() error { return e.Err }

// tilePath is where c2sp.org/tlog-tiles wants a tile. It differs from tlog's
// own path by the height, which C2SP fixed at 8 and left out.
func tilePath(t tlog.Tile) string {
	return "tile/" + strings.TrimPrefix(t.Path(), "tile/8/")
}

// parseTilePath is the inverse of tilePath.
func parseTilePath(path string) (tlog.Tile, bool) {
	rest, ok := strings.CutPrefix(path, "tile/")
	if !ok {
		return tlog.Tile{}, false
	}
	t, err := tlog.ParseTilePath("tile/8/" + rest)
	// tlog's level -1 ("data") holds entries, which this log does not publish.
	if err != nil || t.L < 0 || t.L > 63 || t.N < 0 || t.N > maxSize {
		return tlog.Tile{}, false
	}
	return t, true
}

// IsTile reports whether path names a tile of a log, whole or partial, as
// c2sp.org/tlog-tiles spells it.
func IsTile(path string) bool {
	_, ok := parseTilePath(path)
	return ok
}

// Tiles are the names of the tiles that a log of size leaves has: from the root
// down, and in each level from the newest to the oldest.
func Tiles(size int64) iter.Seq[string] {
	return func(yield func(string) bool) {
		top := 0
		for rowLen(size, top+1) > 0 {
			top++
		}
		for level := top; level >= 0; level-- {
			row := rowLen(size, level)
			for n := (row - 1) >> tileHeight; n >= 0 && row > 0; n-- {
				width := min(row-n<<tileHeight, tileWidth)
				if !yield(tilePath(tlog.Tile{H: tileHeight, L: level, N: n, W: int(width)})) {
					return
				}
			}
		}
	}
}

// rowLen is how many hashes a tree of size leaves has on a level of tiles.
func rowLen(size int64, level int) int64 { return size >> (tileHeight * level) }

// readTile reads the file of tile t, which must have t's exact length.
func readTile(dir fs.FS, t tlog.Tile) ([]byte, error) {
	path := tilePath(t)
	data, err := readFile(dir, path, tileBytes)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &TileError{path, fmt.Errorf("%w: %w", ErrTampered, fs.ErrNotExist)}
	case err != nil:
		return nil, &TileError{path, err}
	case len(data) != t.W*tlog.HashSize:
		return nil, &TileError{path, fmt.Errorf("%w: it has the wrong length", ErrTampered)}
	}
	return data, nil
}

// readFile reads a file of at most limit bytes; of a longer one it returns
// limit+1 bytes, which no caller takes.
func readFile(dir fs.FS, name string, limit int64) ([]byte, error) {
	f, err := dir.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit+1))
}

// hashAt returns the i-th hash of a tile's data.
func hashAt(data []byte, i int) tlog.Hash {
	return tlog.Hash(data[i*tlog.HashSize : (i+1)*tlog.HashSize])
}

// subtree is the root over a complete subtree's hashes: a power of two of them.
func subtree(data []byte) tlog.Hash {
	if len(data) == tlog.HashSize {
		return tlog.Hash(data)
	}
	half := len(data) / 2
	return tlog.NodeHash(subtree(data[:half]), subtree(data[half:]))
}

// edge is the right edge of a tree: of every level the hashes that do not fill
// a tile yet. It is all that is needed to grow the tree and to know its root.
type edge struct {
	size int64
	rows [][]byte
}

// readEdge reads the right edge of a published tree. The tiles mean nothing
// until root was compared with a signed one.
func readEdge(dir fs.FS, size int64) (*edge, error) {
	e := &edge{size: size}
	for level := 0; rowLen(size, level) > 0; level++ {
		row := make([]byte, 0, tileBytes)
		if w := int(rowLen(size, level) % tileWidth); w > 0 {
			data, err := readTile(dir, tlog.Tile{H: tileHeight, L: level, N: rowLen(size, level+1), W: w})
			if err != nil {
				return nil, err
			}
			row = append(row, data...)
		}
		e.rows = append(e.rows, row)
	}
	return e, nil
}

// tile returns the unfinished tile of a level; its width may be zero.
func (e *edge) tile(level int) (tlog.Tile, []byte) {
	row := e.rows[level]
	return tlog.Tile{H: tileHeight, L: level, N: rowLen(e.size, level+1), W: len(row) / tlog.HashSize}, row
}

// paths names the files of the edge.
func (e *edge) paths() []string {
	var paths []string
	for level := range e.rows {
		if t, _ := e.tile(level); t.W > 0 {
			paths = append(paths, tilePath(t))
		}
	}
	return paths
}

// tampered says that the edge is not that of the signed tree. The root covers one
// tile of each level together, so that it names them all.
func (e *edge) tampered() error {
	return &TileError{strings.Join(e.paths(), ", "), fmt.Errorf("%w: the root differs from the signed one", ErrTampered)}
}

// add appends a leaf hash and hands every tile that it completes to full,
// lower levels first. The data handed over is valid during the call only.
func (e *edge) add(leaf tlog.Hash, full func(tlog.Tile, []byte) error) error {
	e.size++
	h := leaf
	for level := 0; ; level++ {
		if level == len(e.rows) {
			e.rows = append(e.rows, make([]byte, 0, tileBytes))
		}
		row := append(e.rows[level], h[:]...)
		if len(row) < tileBytes {
			e.rows[level] = row
			return nil
		}
		t := tlog.Tile{H: tileHeight, L: level, N: rowLen(e.size, level+1) - 1, W: tileWidth}
		if err := full(t, row); err != nil {
			return err
		}
		h = subtree(row)
		e.rows[level] = row[:0]
	}
}

// root is the Merkle tree hash, RFC 6962 §2.1: the complete subtrees get
// smaller from left to right, and are folded from the right.
func (e *edge) root() tlog.Hash {
	root, first := emptyRoot, true
	for _, row := range e.rows {
		end := len(row)
		for w := tlog.HashSize; w < tileBytes; w *= 2 {
			if len(row)&w == 0 {
				continue
			}
			h := subtree(row[end-w : end])
			end -= w
			if first {
				root, first = h, false
			} else {
				root = tlog.NodeHash(h, root)
			}
		}
	}
	return root
}

// walk checks every tile of the signed tree c from the root down and hands
// each, once it is known to be the signed one, to visit. Tiles of level 0 come
// in the order of their leaves. The error is a TileError that names the first
// tile that is not as signed; at the right edge, where the root covers one
// tile of each level together, it names them all.
func walk(dir fs.FS, c Checkpoint, visit func(tlog.Tile, []byte) error) error {
	e, err := readEdge(dir, c.Size)
	if err != nil {
		return err
	}
	if e.root() != c.Root {
		return e.tampered()
	}
	for level := len(e.rows) - 1; level >= 0; level-- {
		t, data := e.tile(level)
		if err := walkBelow(dir, t, data, visit); err != nil {
			return err
		}
	}
	return nil
}

// walkBelow visits tile t, which is known to be as signed, and all below it.
func walkBelow(dir fs.FS, t tlog.Tile, data []byte, visit func(tlog.Tile, []byte) error) error {
	if t.W == 0 {
		return nil
	}
	if err := visit(t, data); err != nil {
		return err
	}
	if t.L == 0 {
		return nil
	}
	for i := range t.W {
		child := tlog.Tile{H: tileHeight, L: t.L - 1, N: t.N<<tileHeight + int64(i), W: tileWidth}
		below, err := readTile(dir, child)
		if err != nil {
			return err
		}
		if subtree(below) != hashAt(data, i) {
			return &TileError{tilePath(child), fmt.Errorf("%w: it is not what the tile above was made from", ErrTampered)}
		}
		if err := walkBelow(dir, child, below, visit); err != nil {
			return err
		}
	}
	return nil
}

// others looks at the tile files that the signed tree itself does not need:
// narrower tiles of earlier trees, and those which a publication that did not
// come to its end wrote ahead of its checkpoint. As far as they overlap with
// the signed tree they must be the same. It returns how many reach beyond it.
func others(dir fs.FS, size int64) (ahead int, err error) {
	err = fs.WalkDir(dir, "tile", func(path string, d fs.DirEntry, err error) error {
		switch {
		case path == "tile" && size == 0 && errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return fmt.Errorf("list the tiles: %w", err)
		case d.IsDir():
			return nil
		}
		t, ok := parseTilePath(path)
		if !ok {
			return &TileError{path, fmt.Errorf("%w: no tile of this log has that name", ErrTampered)}
		}
		signed := min(rowLen(size, t.L)-t.N<<tileHeight, tileWidth) // hashes of the tile in the signed tree
		if int64(t.W) > signed {
			ahead++
		}
		if signed <= 0 || int64(t.W) == signed {
			return nil
		}
		is, err := readTile(dir, tlog.Tile{H: t.H, L: t.L, N: t.N, W: int(signed)})
		if err != nil {
			return err
		}
		data, err := readTile(dir, t)
		if err != nil {
			return err
		}
		overlap := min(len(data), len(is))
		if !bytes.Equal(data[:overlap], is[:overlap]) {
			return &TileError{path, fmt.Errorf("%w: it differs from the tile that replaced it", ErrTampered)}
		}
		return nil
	})
	return ahead, err
}

// tileReader lets tlog compute proofs from the published tiles. What it reads
// is checked against the signed root by tlog before use.
type tileReader struct{ dir fs.FS }

// Height is the height of all tiles.
func (tileReader) Height() int { return tileHeight }

// ReadTiles reads the files.
func (r tileReader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(tiles))
	for i, t := range tiles {
		var err error
		if data[i], err = readTile(r.dir, t); err != nil {
			return nil, err
		}
	}
	return data, nil
}

// SaveTiles has nothing to do: the tiles are files already.
func (tileReader) SaveTiles([]tlog.Tile, [][]byte) {}
