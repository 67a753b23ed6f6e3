package rpc

import "fmt"

// slips is how many letters of a name may be wrong: one of so many.
const slips = 4

// didYouMean names the method whose name is closest to one that nobody has, if
// any is close.
func didYouMean(name string) string {
	if len(name) > 2*len("getmempooldescendants") {
		return "" // a stranger's text, not a slip
	}
	best, least := "", max(1, len(name)/slips)+1
	for i := range methods {
		if d := distance(name, methods[i].name); d < least {
			best, least = methods[i].name, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(": did you mean %s?", best)
}

// distance counts the letters to insert, remove, change or swap with their
// neighbour that lead from a to b (Damerau 1964; optimal string alignment).
func distance(a, b string) int {
	before, last, row := []int(nil), []int(nil), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before, last, row = last, row, make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
	}
	return row[len(b)]
}
