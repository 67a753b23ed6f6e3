package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf16"

	"github.com/spf13/cobra"

	"cairn/chain"
	"cairn/rpc"
)

// show prints a result: as JSON where --json asks for it, else as say puts it.
func show(cmd *cobra.Command, result any, say func(io.Writer)) error {
	var b bytes.Buffer
	if yes(cmd, "json") {
		if err := writeJSON(&b, result, "  "); err != nil {
			return err
		}
	} else {
		say(&b)
	}
	_, err := io.WriteString(cmd.OutOrStdout(), printable(b.String()))
	return err
}

// printable is text that a terminal shows and does not obey, whoever wrote what is
// in it: all but line ends that is not to be seen is escaped, as JSON has it.
func printable(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\n' || unicode.IsPrint(r):
			b.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// plainLines makes what is written a whole line at a time printable: logs quote
// strangers.
type plainLines struct{ io.Writer }

func (p plainLines) Write(line []byte) (int, error) {
	if _, err := io.WriteString(p.Writer, printable(string(line))); err != nil {
		return 0, err
	}
	return len(line), nil
}

// writeJSON writes a value and a line's end; without an indent it is one line.
func writeJSON(w io.Writer, v any, indent string) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := io.WriteString(w, printable(b.String()))
	return err
}

// A table is rows of words that stand under each other.
type table [][]string

func (t *table) row(words ...any) {
	line := make([]string, len(words))
	for i, w := range words {
		line[i] = fmt.Sprint(w)
	}
	*t = append(*t, line)
}

// write aligns the columns, each line behind the indent.
func (t table) write(w io.Writer, indent string) {
	var b bytes.Buffer
	tabs := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, line := range t {
		fmt.Fprintln(tabs, strings.Join(line, "\t"))
	}
	_ = tabs.Flush() // a buffer takes everything
	for line := range strings.Lines(b.String()) {
		fmt.Fprintln(w, strings.TrimRight(indent+line, " \n"))
	}
}

// short is an id as tables show it: its last digits, for the first are zeros in
// every block's.
func short(h chain.Hash) string { return "…" + h.Short() }

func shortOr(h *chain.Hash, otherwise string) string {
	if h == nil {
		return otherwise
	}
	return short(*h)
}

// shortPeer is a peer id as tables show it: all begin alike.
func shortPeer(id string) string {
	const tail = 8
	id = rpc.Clean(id)
	if len(id) <= tail+1 {
		return id
	}
	return "…" + id[len(id)-tail:]
}

// depthWord is a depth as people see it.
func depthWord(d *int64) string {
	if d == nil {
		return "?"
	}
	return fmt.Sprint(*d)
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// rate is a hash rate as people see it.
func rate(hashes uint64) string {
	f, unit := float64(hashes), ""
	for _, next := range []string{"k", "M", "G", "T"} {
		if f < 999.5 { // or three digits would be 1e+03
			break
		}
		f, unit = f/1000, next
	}
	return fmt.Sprintf("%.3g %sH/s", f, unit)
}

// span is a duration as people see it.
func span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// moment is a time of the chain, in seconds since 1970.
func moment(unix uint32) string {
	return time.Unix(int64(unix), 0).UTC().Format("2006-01-02 15:04:05 UTC")
}

func inOut(inbound bool) string {
	if inbound {
		return "in"
	}
	return "out"
}
