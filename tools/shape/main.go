// Shape prints how the code is cut: function lengths and lines, package by package.
package main

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: shape FOLDER")
		os.Exit(2)
	}
	pieces, err := measure(os.DirFS(os.Args[1]))
	if err == nil {
		err = report(os.Stdout, pieces)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "shape:", err)
		os.Exit(1)
	}
}

// A function is one declaration with a body; its length counts from `func` to the closing brace.
type function struct {
	name   string
	length int
}

// A piece is the code of one package, tests and generated files left out of functions and lines.
type piece struct {
	name      string
	functions []function
	lines     int
	testLines int
}

// measure reads every Go file under tree, but no nested module, test data or hidden folder.
func measure(tree fs.FS) ([]piece, error) {
	found := map[string]*piece{}
	err := fs.WalkDir(tree, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return skip(tree, path)
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		folder := filepath.ToSlash(filepath.Dir(path))
		if found[folder] == nil {
			found[folder] = &piece{name: folder}
		}
		return found[folder].add(tree, path)
	})
	var pieces []piece
	for _, p := range found {
		pieces = append(pieces, *p)
	}
	slices.SortFunc(pieces, func(a, b piece) int { return cmp.Compare(a.name, b.name) })
	return pieces, err
}

func skip(tree fs.FS, folder string) error {
	if folder == "." {
		return nil
	}
	base := filepath.Base(folder)
	if base == "testdata" || base == "vendor" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return fs.SkipDir
	}
	if _, err := fs.Stat(tree, folder+"/go.mod"); err == nil {
		return fs.SkipDir
	}
	return nil
}

func (p *piece) add(tree fs.FS, path string) error {
	source, err := fs.ReadFile(tree, path)
	if err != nil {
		return err
	}
	lines := strings.Count(string(source), "\n")
	if strings.HasSuffix(path, "_test.go") {
		p.testLines += lines
		return nil
	}
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	if ast.IsGenerated(file) {
		return nil
	}
	p.lines += lines
	for _, decl := range file.Decls {
		if f, ok := decl.(*ast.FuncDecl); ok && f.Body != nil {
			length := files.Position(f.End()).Line - files.Position(f.Pos()).Line + 1
			p.functions = append(p.functions, function{f.Name.Name, length})
		}
	}
	return nil
}

func report(out io.Writer, pieces []piece) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "package\tlines\ttest lines\tfunctions\tmedian\tp90\tlongest\t  which\t")
	total := piece{name: "all"}
	for _, p := range pieces {
		row(table, p)
		total.lines += p.lines
		total.testLines += p.testLines
		for _, f := range p.functions {
			total.functions = append(total.functions, function{p.name + "." + f.name, f.length})
		}
	}
	row(table, total)
	return table.Flush()
}

func row(table io.Writer, p piece) {
	slices.SortFunc(p.functions, func(a, b function) int { return cmp.Compare(a.length, b.length) })
	longest := quantile(p.functions, 100)
	fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t  %s\t\n",
		p.name, p.lines, p.testLines, len(p.functions),
		quantile(p.functions, 50).length, quantile(p.functions, 90).length, longest.length, longest.name)
}

// quantile returns the shortest function that at least percent of all are no longer than;
// the zero function if there is none. The functions come sorted by length.
func quantile(sorted []function, percent int) function {
	if len(sorted) == 0 {
		return function{}
	}
	rank := (len(sorted)*percent + 99) / 100
	return sorted[max(rank, 1)-1]
}
