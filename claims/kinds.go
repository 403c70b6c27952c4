package claims

import "reflect"

// Terms is what holds for every attestation of a kind, whatever it states.
type Terms struct {
	Kind Kind
	// Answers says that the attestation is about another one, whoever signed
	// that. The others are about a case, and are for the agency that keeps it.
	Answers bool
	// Days is how long an attestation lasts where neither the claims nor an order
	// says otherwise, the day of issue among them.
	Days int

	empty func() Claims
}

// kinds is the table of kinds. What is decoded, checked and signed, the
// contract's schemas and docs/vocabulary.md are made from it; package people has
// the rights. CONTRIBUTING.md tells how a kind is added.
var kinds = []Terms{
	{Kind: KindScreening, Days: 90, empty: func() Claims { return new(Screening) }},
	{Kind: KindAppointment, Days: 90, empty: func() Claims { return new(Appointment) }},
	{Kind: KindIdentity, Days: 365, empty: func() Claims { return new(IdentityClaim) }},
	{Kind: KindDocument, Days: 365, empty: func() Claims { return new(DocumentReport) }},
	{Kind: KindOpinion, Days: 365, Answers: true, empty: func() Claims { return new(Opinion) }},
	{Kind: KindReliance, Days: 365, Answers: true, empty: func() Claims { return new(Reliance) }},
	{Kind: KindReply, Days: 365, Answers: true, empty: func() Claims { return new(Reply) }},
}

// Kinds returns the table of kinds, in the order in which documents list them.
func Kinds() []Terms { return append([]Terms(nil), kinds...) }

// TermsFor returns the terms of a kind. Any other is ErrUnknownKind.
func TermsFor(kind Kind) (Terms, error) {
	for _, t := range kinds {
		if t.Kind == kind {
			return t, nil
		}
	}
	return Terms{}, ErrUnknownKind
}

// TermsOf returns the terms of claims. Those that are nil, or of a type that is
// not in the table, are ErrUnknownKind: a type from elsewhere could name any kind
// as its own.
func TermsOf(c Claims) (Terms, error) {
	v := reflect.ValueOf(c)
	for _, t := range kinds {
		if v.IsValid() && v.Type() == reflect.TypeOf(t.empty()) && !v.IsNil() {
			return t, nil
		}
	}
	return Terms{}, ErrUnknownKind
}

// New returns empty claims of a kind, as a pointer to the kind's type. Any other
// kind is ErrUnknownKind.
func New(kind Kind) (Claims, error) {
	t, err := TermsFor(kind)
	if err != nil {
		return nil, err
	}
	return t.empty(), nil
}

// LastDay returns the last day of an attestation with these claims that is
// issued on that day and for which nobody asks for another.
func LastDay(c Claims, issued Day) (Day, error) {
	t, err := TermsOf(c)
	if err != nil {
		return "", err
	}
	if c, ok := c.(interface{ lastDay(issued Day) Day }); ok {
		return c.lastDay(issued), nil
	}
	return issued.Add(t.Days - 1), nil
}

// ReviewDay returns the day on which claims are to be looked at again, and ""
// for those that are not.
func ReviewDay(c Claims) Day {
	if c, ok := c.(interface{ reviewDay() Day }); ok {
		return c.reviewDay()
	}
	return ""
}
