// Gen writes the assembly of package sha256d: `go run . ..` from this folder.
// It is a module of its own, so that what it needs stays out of the program's.
//
// Every kernel's function has one shape:
//
//	func scan(feed *uint32, first uint32, masks *uint16, n int)
//
// It tries 16·n nonces from first on, 0 following the greatest, and writes a
// mask for each 16 of them: bit i is set if the double hash under nonce i ends
// in a number of at most the target's. Feed is what the job prepared; feed.go
// says what lies where.
package main

import (
	"log"
	"os"
	"path/filepath"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/printer"
)

// files are what this program writes, by name.
var files = map[string]func() ([]byte, error){
	"scan_avx512_amd64.s": avo(avx512),
	"scan_avx2_amd64.s":   avo(avx2),
	"scan_family_amd64.s": avo(family),
	"scan_hybrid_amd64.s": avo(hybrid),
	"scan_sha2_arm64.s":   sha2,
	"scan_shani_amd64.s":  avo(shani),
}

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: gen folder")
	}
	for name, make := range files {
		text, err := make()
		if err != nil {
			log.Fatalf("%s: %v", name, err)
		}
		if err := os.WriteFile(filepath.Join(os.Args[1], name), text, 0o644); err != nil {
			log.Fatal(err)
		}
	}
}

// avo returns a maker of the file that write fills.
func avo(write func(*build.Context)) func() ([]byte, error) {
	return func() ([]byte, error) {
		c := build.NewContext()
		c.ConstraintExpr("!purego")
		write(c)
		f, err := c.Result()
		if err != nil {
			return nil, err
		}
		if err := pass.Compile.Execute(f); err != nil {
			return nil, err
		}
		return printer.NewGoAsm(printer.Config{Name: "miner/sha256d/gen", Pkg: "sha256d"}).Print(f)
	}
}
