package converge

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// Fresh is how old a peer's word on its tip may be that counts: three times as
// long as it takes an honest peer to say it again.
const Fresh = 30 * time.Second

// Row is one node's depth of something. Who is to have a row: this node, and
// every peer that is connected or that the operator named. Identities are free,
// so nobody else counts.
type Row struct {
	Name  string `json:"name"`
	Fresh bool   `json:"fresh"` // its tip was heard of recently; this node's always
	Depth Depth  `json:"depth"`
}

// depth is what counts: without a fresh tip it is unknown.
func (r Row) depth() Depth {
	if !r.Fresh {
		return Depth{}
	}
	return r.Depth
}

// Summary tells what a set of nodes has in common.
type Summary struct {
	Nodes  []string `json:"nodes"`  // who was counted
	Known  int      `json:"known"`  // nodes with a fresh tip and a known depth
	All    Depth    `json:"all"`    // that every node has reached; unknown if one's is
	Quorum Depth    `json:"quorum"` // that more than half have reached; unknown counts as not reached
	Note   string   `json:"note,omitempty"`
}

// Summarize sums rows up.
func Summarize(rows []Row) Summary {
	s := Summary{Nodes: names(rows), Note: note(rows)}
	if len(rows) == 0 {
		return s
	}
	depths := ranked(rows)
	for _, d := range depths {
		if d.Known {
			s.Known++
		}
	}
	s.All = depths[len(depths)-1]
	s.Quorum = depths[Quorum.of(len(rows))-1]
	return s
}

// ranked are the depths that count, deepest first and unknown ones last.
func ranked(rows []Row) []Depth {
	depths := make([]Depth, len(rows))
	for i, r := range rows {
		depths[i] = r.depth()
	}
	slices.SortStableFunc(depths, func(a, b Depth) int { return cmp.Compare(b.rank(), a.rank()) })
	return depths
}

func (d Depth) rank() int64 {
	if !d.Known {
		return Off - 1
	}
	return d.N
}

func names(rows []Row) []string {
	list := make([]string, len(rows))
	for i, r := range rows {
		list[i] = r.Name
	}
	return list
}

func note(rows []Row) string {
	switch len(rows) {
	case 0:
		return "no node was counted"
	case 1:
		return "no peer was counted: this is the word of one node"
	}
	return ""
}

// Who says how many nodes must have reached a depth: All, Quorum, or a number.
type Who int

const (
	// All nodes that are counted.
	All Who = 0
	// Quorum is more than half of them.
	Quorum Who = -1
)

// ParseWho reads "all", "quorum" or a number of nodes from 1 on.
func ParseWho(s string) (Who, error) {
	switch s {
	case "all":
		return All, nil
	case "quorum":
		return Quorum, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%q names no set of nodes: say all, quorum or a number from 1 on", s)
	}
	return Who(n), nil
}

// String is what ParseWho reads.
func (w Who) String() string {
	switch w {
	case All:
		return "all"
	case Quorum:
		return "quorum"
	}
	return strconv.Itoa(int(w))
}

// of is how many of n nodes must agree, at least one.
func (w Who) of(n int) int {
	switch w {
	case All:
		return max(n, 1)
	case Quorum:
		return n/2 + 1
	}
	return int(w)
}

// Verdict is the answer to "have they agreed?".
type Verdict struct {
	Yes   bool     `json:"agreed"`
	Have  int      `json:"have"`  // nodes that reached the depth
	Need  int      `json:"need"`  // nodes that must
	Nodes []string `json:"nodes"` // who was counted
	Note  string   `json:"note,omitempty"`
}

// Agreed tells whether as many nodes as who demands know the depth to be n or
// more. One without a fresh tip, or whose depth is unknown, has not.
func Agreed(rows []Row, n int64, who Who) Verdict {
	v := Verdict{Need: who.of(len(rows)), Nodes: names(rows), Note: note(rows)}
	for _, r := range rows {
		if r.depth().Reaches(n) {
			v.Have++
		}
	}
	v.Yes = v.Have >= v.Need
	if v.Need > len(rows) && len(rows) > 0 {
		v.Note = fmt.Sprintf("%d nodes must agree, but no more than %d can be counted", v.Need, len(rows))
	}
	return v
}
