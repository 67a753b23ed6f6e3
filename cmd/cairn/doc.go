// Command cairn is the program: flags, config file, output; every subcommand.
//
// Each command is a thin hand around the packages below: it reads flags (flag,
// environment and cairn.toml in one order, see config.go), asks a node over
// JSON-RPC or works on a wallet file, and prints for people or, with --json, for
// programs. Exit codes are 0 for done, 1 for failed, 2 for unknown or timed out.
package main
