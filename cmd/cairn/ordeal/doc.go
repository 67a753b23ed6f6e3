// Package ordeal asks what the program keeps when everything around it fails: it
// holds only tests.
//
// They run the program as a user does, as real processes, and let it be killed,
// cut off and lied to by its disk. Whatever it acknowledged is written down here,
// and held against what it knows after the next start.
package ordeal
