package httpapi

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"
)

// securityFor is how long a security.txt may be relied on. RFC 9116 §2.5.5 wants
// less than a year: whoever reads an older one cannot know whether it still holds.
const securityFor = 180 * 24 * time.Hour

// securityText is a security.txt (RFC 9116 §2.5.3, §2.5.5). It changes once a
// day.
func securityText(contact string, now time.Time) string {
	until := now.UTC().Truncate(24 * time.Hour).Add(securityFor)
	return "Contact: " + contact + "\nExpires: " + until.Format(time.RFC3339) + "\n"
}

// ErrContact says that a contact for security reports is not one of those that
// RFC 9116 knows.
var ErrContact = errors.New("httpapi: the security contact is not a mailto:, https: or tel: address")

// CheckSecurityContact refuses what cannot be a Contact in security.txt; an empty
// one means that there is none.
func CheckSecurityContact(contact string) error {
	if contact == "" {
		return nil
	}
	u, err := url.Parse(contact)
	if err != nil || !slices.Contains([]string{"mailto", "https", "tel"}, u.Scheme) || u.Opaque+u.Host == "" ||
		strings.ContainsFunc(contact, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return ErrContact
	}
	return nil
}
