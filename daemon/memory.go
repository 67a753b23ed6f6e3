package daemon

// GCPercent is what debug.SetGCPercent is to be told by a program that runs a node:
// most of a node's memory are the database's tables and coins that are due to be
// written, large and without pointers, so that a collection is cheap, and half of it
// again is room enough for garbage.
const GCPercent = 50
