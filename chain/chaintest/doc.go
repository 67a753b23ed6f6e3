// Package chaintest makes valid transactions and blocks for tests: what is true,
// by way of example.
//
// It is chain arithmetic and nothing else: equal arguments give equal blocks.
// What cannot be made panics, for then the test itself is wrong.
package chaintest
