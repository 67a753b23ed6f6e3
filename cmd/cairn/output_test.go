package main

import "testing"

func TestHashRatesHaveThreeDigits(t *testing.T) {
	for hashes, want := range map[uint64]string{
		0: "0 H/s", 999: "999 H/s", 1000: "1 kH/s", 12_345: "12.3 kH/s", 999_499: "999 kH/s", 999_500: "1 MH/s", 999_999_999: "1 GH/s", 1e18: "1e+06 TH/s",
	} {
		if got := rate(hashes); got != want {
			t.Errorf("%d is %q, want %q", hashes, got, want)
		}
	}
}

func TestPrintableIsShownAndNotObeyed(t *testing.T) {
	for s, want := range map[string]string{
		"plain — ⅓ 漢字\nnext": "plain — ⅓ 漢字\nnext", evil: `cairn/1.0\u001b[2J\u202e`, "a\rb\tc\x00": `a\u000db\u0009c\u0000`,
		"\u009b31m": `\u009b31m`, "\U000e0041": `\udb40\udc41`, "\xff": "\ufffd",
	} {
		if got := printable(s); got != want {
			t.Errorf("%q is printed %q, want %q", s, got, want)
		}
	}
}
