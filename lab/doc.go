// Package lab is many real nodes on one machine: processes, links and what a
// person does with them.
//
// A lab is a folder. It holds the network file with a genesis of its own, a
// folder for each node with its data, wallet and log, and lab.json, which says
// which process and ports each node has.
package lab
