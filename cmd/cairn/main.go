package main

import "os"

// version is stamped by the linker.
var version = "dev"

func main() { os.Exit(run(os.Args[1:])) }
