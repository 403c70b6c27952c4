package main

import (
	"fmt"

	"github.com/skip2/go-qrcode"
)

// linkPicture draws an address for a terminal, so that a telephone can open what no
// screen has to copy. The symbol of a card is another thing: credentials/card/symbol.
func linkPicture(link string) (string, error) {
	q, err := qrcode.New(link, qrcode.Medium)
	if err != nil {
		return "", fmt.Errorf("draw the link: %w", err)
	}
	return q.ToSmallString(false), nil
}
