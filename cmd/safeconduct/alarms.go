package main

import (
	"cmp"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// alarm is something that whoever runs or audits the network should look at.
type alarm struct {
	Code   string     `json:"code"`
	Agency string     `json:"agency,omitempty"`
	Asker  string     `json:"asker,omitempty"`
	Since  *time.Time `json:"since,omitempty"`
	Until  *time.Time `json:"until,omitempty"`
	Count  int        `json:"count,omitempty"`
}

// alarmsCommand shows what the page /admin shows, to a program of an operator or auditor.
func alarmsCommand() *cobra.Command {
	var r reach
	c := &cobra.Command{
		Use: "alarms", Short: "List what whoever runs or audits the network should look at now", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var answer struct {
				Alarms []alarm `json:"alarms"`
			}
			if err := r.as(c.Context(), http.MethodGet, "/api/v1/alarms", nil, &answer); err != nil {
				return err
			}
			var words strings.Builder
			for _, a := range answer.Alarms {
				fmt.Fprintf(&words, "%s  %s\n", a.Code, a.words())
			}
			if len(answer.Alarms) == 0 {
				words.WriteString(english("admin.alarms.lead") + "\n")
			} else {
				words.WriteString("What each means, and what to do: docs/operate.md, Alarms on the page.\n")
			}
			return r.say(c.OutOrStdout(), map[string]any{"alarms": notNil(answer.Alarms)}, words.String())
		},
	}
	r.service(c)
	return c
}

// words are those of the page; there are none for a code of a newer service.
func (a alarm) words() string {
	return english("admin.alarm."+a.Code, "agency", a.Agency, "asker", cmp.Or(a.Asker, "–"), "when", at(a.Since), "until", at(a.Until), "count", strconv.Itoa(a.Count))
}

func at(t *time.Time) string {
	if t == nil {
		return "–"
	}
	return t.Format("2006-01-02 15:04 MST")
}
