package chain

// Overlay is what some diffs, one on the other, make of coins that lie elsewhere.
// The zero value changes nothing.
type Overlay struct {
	Expect int // diffs that will be put on, if that is known: room is made once

	changed map[OutPoint]*Coin // nil is spent
	put     []Diff             // not yet in changed: nobody has asked since
}

// Apply puts one more diff on; d must not be changed any more.
func (o *Overlay) Apply(d Diff) { o.put = append(o.put, d) }

func (o *Overlay) settle() {
	for _, d := range o.put {
		if o.changed == nil {
			o.changed = make(map[OutPoint]*Coin, max(o.Expect, 2)*(len(d.Spent)+len(d.Created)))
		}
		for i := range d.Spent {
			o.changed[d.Spent[i].OutPoint] = nil
		}
		for i := range d.Created {
			o.changed[d.Created[i].OutPoint] = &d.Created[i]
		}
	}
	o.put = nil
}

// Find finds coins as the diffs leave them. below looks up those that no diff
// touches, and gives its map away.
func (o *Overlay) Find(want []OutPoint, below func([]OutPoint) (Coins, error)) (Coins, error) {
	o.settle()
	if len(o.changed) == 0 {
		return below(want)
	}
	untouched := make([]OutPoint, 0, len(want))
	var here []*Coin
	for _, at := range want {
		c, touched := o.changed[at]
		switch {
		case !touched:
			untouched = append(untouched, at)
		case c != nil:
			here = append(here, c)
		}
	}
	found := Coins{}
	if len(untouched) > 0 {
		var err error
		if found, err = below(untouched); err != nil {
			return nil, err
		}
	}
	for _, c := range here {
		found[c.OutPoint] = *c
	}
	return found, nil
}
