package chain

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"
)

// anchor is the header of a file in testdata/asert.
type anchor struct {
	height uint64
	time   int64
	bits   Bits
}

func (a *anchor) read(line string) {
	for format, field := range map[string]any{
		"##   anchor height: %d":        &a.height,
		"##   anchor ancestor time: %d": &a.time,
		"##   anchor nBits: 0x%x":       (*uint32)(&a.bits),
	} {
		if n, err := fmt.Sscanf(line, format, field); err == nil && n == 1 {
			return
		}
	}
}

// The published vectors count from one anchor, with 600 seconds and a half-life
// of two days.
func TestASERTVectors(t *testing.T) {
	limit, _ := Bits(0x1d00ffff).Target()
	total := 0
	for run := 1; run <= 10; run++ {
		f, err := os.Open(fmt.Sprintf("testdata/asert/run%02d", run))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		var a anchor
		for scan := bufio.NewScanner(f); scan.Scan(); {
			line := scan.Text()
			if strings.HasPrefix(line, "#") {
				a.read(line)
				continue
			}
			if line == "" {
				continue
			}
			var i, time int64
			var height uint64
			var want uint32
			if _, err := fmt.Sscanf(line, "%d %d %d 0x%x", &i, &height, &time, &want); err != nil {
				t.Fatalf("run %d, %q: %v", run, line, err)
			}
			ref, _ := a.bits.Target()
			exponent := (time - a.time - 600*int64(height-a.height+1)) * 65536 / 172_800
			if got := asert(ref, exponent, limit).Bits(); got != Bits(want) {
				t.Fatalf("run %d, line %d: %v, want %08x", run, i, got, want)
			}
			total++
		}
	}
	if total != 3000 {
		t.Errorf("%d vectors, want 3000", total)
	}
}

// The kernel stays between 1 and the limit however far the exponent.
func TestASERTAtTheEnds(t *testing.T) {
	limit, _ := Bits(0x207fffff).Target()
	one, _ := Bits(0x01010000).Target()
	for _, exponent := range []int64{-1 << 47, -1 << 31, -1 << 24, -65536 * 300} {
		if got := asert(limit, exponent, limit); got.Cmp(one) != 0 {
			t.Errorf("2^%d is %v, want 1", exponent>>16, got)
		}
	}
	for _, exponent := range []int64{1, 65535, 65536 * 300, 1 << 31, 1 << 47} {
		if got := asert(limit, exponent, limit); got.Cmp(limit) != 0 {
			t.Errorf("the limit times 2^(%d/65536) is %v", exponent, got)
		}
	}
	if got := asert(one, 65536*254, limit); got.String() != "4"+strings.Repeat("0", 63) {
		t.Errorf("2^254 is %v", got)
	}
}
