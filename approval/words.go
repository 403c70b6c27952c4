package approval

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/safeconduct/safeconduct/credentials/private"
)

// Line is one thing that an act says: where it stands, as in what.names.0.full, and
// the value. A page has words for the places that it knows, and shows the place
// itself for others.
type Line struct {
	At    string
	Value private.String
}

// Lines are all that an act says, in the order in which it is signed. There is
// nothing in the bytes that is not in a line, so that nobody agrees to what nobody
// shows. ErrAct for an act that has no bytes.
func (a Act) Lines() ([]Line, error) {
	data, err := a.Bytes()
	if err != nil {
		return nil, err
	}
	a, err = Parse(data) // what is read is what is signed
	if err != nil {
		return nil, err
	}
	lines := []Line{
		{"do", private.New(a.Do)}, {"agency", private.New(a.Agency)}, {"by", private.New(a.By)},
		{"expires", private.New(time.Unix(a.Expires, 0).UTC().Format(time.RFC3339))},
	}
	more, err := LinesOf("what", a.What)
	return append(lines, more...), err
}

// LinesOf are all that a JSON value says, under a name: for what an act has the digest
// of.
func LinesOf(at string, data []byte) ([]Line, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	return linesOf(d, at, nil)
}

// linesOf reads one value and adds a line for each leaf of it.
func linesOf(d *json.Decoder, at string, lines []Line) ([]Line, error) {
	token, err := d.Token()
	if err != nil {
		return nil, ErrAct
	}
	opening, nested := token.(json.Delim)
	if !nested {
		return append(lines, Line{at, private.New(textOf(token))}), nil
	}
	empty := true
	for i := 0; d.More(); i++ {
		empty = false
		name := strconv.Itoa(i)
		if opening == '{' {
			key, err := d.Token()
			if err != nil {
				return nil, ErrAct
			}
			name = textOf(key)
		}
		if lines, err = linesOf(d, at+"."+strings.ReplaceAll(name, ".", "_"), lines); err != nil {
			return nil, err
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, ErrAct
	}
	if empty {
		lines = append(lines, Line{at, private.New("")})
	}
	return lines, nil
}

func textOf(token json.Token) string {
	switch v := token.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	default:
		return ""
	}
}
