package web

import (
	"embed"
	"html/template"
	"strings"
)

//go:embed pictograms/*.svg
var pictogramFiles embed.FS

// Pictogram is a drawing that stands beside a message, so that who cannot read
// the words still knows what to do. It takes the colour of the text around it
// and says nothing to a screen reader, which has the words. It is empty for a
// name that has no drawing.
func Pictogram(name string) template.HTML {
	data, err := pictogramFiles.ReadFile("pictograms/" + name + ".svg")
	if err != nil {
		return ""
	}
	return template.HTML(strings.TrimSpace(string(data))) //nolint:gosec // our own drawing
}
