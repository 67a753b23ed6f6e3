package cairn_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

const (
	module = "cairn"
	// screen is how many lines a function may have, from its first word to its closing brace.
	screen = 60
)

// walk reads every Go file below root, but no nested module, test data or hidden folder,
// and returns the breaches and how many files it read.
func walk(t *testing.T, root string) (breaches []string, files int) {
	t.Helper()
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return skip(root, name)
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		source, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		inside, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		files++
		breaches = append(breaches, inspect(filepath.ToSlash(inside), string(source))...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return breaches, files
}

func skip(root, folder string) error {
	if folder == root {
		return nil
	}
	base := filepath.Base(folder)
	if base == "testdata" || base == "vendor" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return fs.SkipDir
	}
	if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil && inModules(root, folder) {
		return fs.SkipDir
	}
	return nil
}

func inModules(root, folder string) bool {
	inside, err := filepath.Rel(root, folder)
	_, known := modules[filepath.ToSlash(inside)]
	return err == nil && known
}

// roomOf returns the room that a folder of ours belongs to: the one with the longest name.
func roomOf(folder string) (found room, known bool) {
	for _, r := range floors {
		if under(folder, r.dir) && len(r.dir) >= len(found.dir) {
			found, known = r, true
		}
	}
	return found, known
}

// under tells whether name is folder or lies below it.
func under(name, folder string) bool {
	return name == folder || strings.HasPrefix(name, folder+"/")
}

// forTests tells whether a folder helps tests, as chain/chaintest helps those of chain: it may import
// its parent, and only tests import it.
func forTests(folder string) bool {
	return path.Base(folder) == path.Base(path.Dir(folder))+"test"
}

func (rs reasons) allow(name string) bool {
	for allowed := range rs {
		if under(name, allowed) {
			return true
		}
	}
	return false
}

// A source is one file under the law.
type source struct {
	room     room
	folder   string // of the file, from the root
	file     *ast.File
	files    *token.FileSet
	breaches []string
}

// inspect returns what one file does against the law; name is its path from the root.
func inspect(name, text string) []string {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return []string{err.Error()}
	}
	folder := path.Dir(name)
	test := strings.HasSuffix(name, "_test.go") || forTests(folder)
	if folder == "." {
		if test {
			return nil
		}
		return []string{name + ": the root holds tests only"}
	}
	r, known := roomOf(folder)
	if !known {
		return []string{fmt.Sprintf("%s: the package %s is on no floor: add it to the table in floors_test.go, with the question that it answers", name, folder)}
	}
	s := &source{room: r, folder: folder, file: file, files: files}
	s.imports(test)
	if !strings.HasSuffix(name, "_test.go") && !ast.IsGenerated(file) {
		s.lengths()
	}
	if test {
		return s.breaches
	}
	s.memory()
	if r.pure && !generator(file) {
		s.purity()
	}
	return s.breaches
}

func (s *source) breach(at token.Pos, format string, args ...any) {
	where := s.files.Position(at)
	s.breaches = append(s.breaches, fmt.Sprintf("%s:%d: %s", where.Filename, where.Line, fmt.Sprintf(format, args...)))
}

// generator tells whether the file is a program that only `go generate` runs, no part of its package.
func generator(file *ast.File) bool {
	for _, group := range file.Comments {
		for _, comment := range group.List {
			if comment.Pos() < file.Package && comment.Text == "//go:build ignore" {
				return true
			}
		}
	}
	return false
}

// imported returns the path of an import.
func imported(spec *ast.ImportSpec) string {
	name, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		panic(err) // the parser let it through
	}
	return name
}

func (s *source) imports(test bool) {
	upward := test && strings.HasSuffix(s.file.Name.Name, "_test")
	for _, spec := range s.file.Imports {
		name := imported(spec)
		ours, isOurs := strings.CutPrefix(name, module+"/")
		switch {
		case name == "C":
			s.breach(spec.Pos(), "%s imports C: cairn builds without a C compiler", s.folder)
		case name == module:
			s.breach(spec.Pos(), "the root holds tests only")
		case isOurs && !upward:
			s.own(spec, ours, test)
		case !isOurs && strings.Contains(strings.Split(name, "/")[0], "."):
			s.foreign(spec, name, test)
		}
	}
}

// own judges an import of ours.
func (s *source) own(spec *ast.ImportSpec, name string, test bool) {
	target, known := roomOf(name)
	switch {
	case !known:
		s.breach(spec.Pos(), "%s is on no floor: add it to the table in floors_test.go", name)
	case !test && forTests(name):
		s.breach(spec.Pos(), "%s imports %s, which is for tests", s.folder, name)
	case target.dir == s.room.dir && (under(name, s.folder) || forTests(s.folder)):
	case target.dir == s.room.dir:
		s.breach(spec.Pos(), "%s imports %s: a sub-folder never imports its parent or a sibling", s.folder, name)
	case target.floor == s.room.floor:
		s.breach(spec.Pos(), "%s imports %s: both are on floor %d", s.folder, name, target.floor)
	case target.floor > s.room.floor:
		s.breach(spec.Pos(), "%s (floor %d) imports %s (floor %d): imports go down", s.folder, s.room.floor, name, target.floor)
	case !test && s.room.ours[target.dir] == "":
		s.breach(spec.Pos(), "%s imports %s: below, but not allowed in floors_test.go: give the reason there", s.folder, name)
	}
}

// foreign judges an import of other people's code. External tests reach upward, so a test
// may use what any room may.
func (s *source) foreign(spec *ast.ImportSpec, name string, test bool) {
	allowed := s.room.theirs.allow(name)
	if test {
		allowed = testTools.allow(name)
		for _, r := range floors {
			allowed = allowed || r.theirs.allow(name)
		}
	}
	if !allowed {
		s.breach(spec.Pos(), "%s imports %s: not allowed in floors_test.go: give the reason there", s.folder, name)
	}
}

// memory guards what only a check may make: chain.Remembered… vouches for bytes that nobody looked at,
// which only the store may do, for what it wrote itself.
func (s *source) memory() {
	if s.room.dir == "store" {
		return
	}
	names := s.names()
	ast.Inspect(s.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			if names[text(n.X)] == module+"/chain" && strings.HasPrefix(n.Sel.Name, "Remembered") {
				s.breach(n.Pos(), "chain.%s is the store's alone", n.Sel.Name)
			}
		case *ast.CallExpr:
			if s.folder == "chain" && strings.HasPrefix(text(n.Fun), "Remembered") {
				s.breach(n.Pos(), "%s is the store's alone", text(n.Fun))
			}
		case *ast.ImportSpec:
			if n.Name != nil && n.Name.Name == "." && imported(n) == module+"/chain" {
				s.breach(n.Pos(), "a dot import hides who calls chain.Remembered")
			}
		}
		return true
	})
}

func (s *source) lengths() {
	for _, decl := range s.file.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			s.length(decl, decl.Name.Name)
		case *ast.GenDecl:
			ast.Inspect(decl, func(n ast.Node) bool {
				if literal, ok := n.(*ast.FuncLit); ok {
					s.length(literal, "a function literal")
				}
				return true
			})
		}
	}
}

func (s *source) length(n ast.Node, name string) {
	lines := s.files.Position(n.End()).Line - s.files.Position(n.Pos()).Line + 1
	if lines > screen {
		s.breach(n.Pos(), "%s has %d lines, more than a screen of %d", name, lines, screen)
	}
}

// What a pure package does not import: each path with all that lies below it.
var impure = []string{
	"context", "crypto/rand", "hash/maphash", "log", "net", "os", "plugin", "runtime", "sync",
	"syscall", "testing", "unsafe",
}

// What a pure package does not take from packages that it may import.
var impureNames = map[string]*regexp.Regexp{
	"fmt":          regexp.MustCompile(`^(Print|Scan)`),
	"math/rand":    regexp.MustCompile(`^(ExpFloat64|Float32|Float64|Int|Int31|Int31n|Int63|Int63n|Intn|NormFloat64|Perm|Read|Seed|Shuffle|Uint32|Uint64)$`),
	"math/rand/v2": regexp.MustCompile(`^(ExpFloat64|Float32|Float64|Int|Int32|Int32N|Int64|Int64N|IntN|N|NormFloat64|Perm|Shuffle|Uint|Uint32|Uint32N|Uint64|Uint64N|UintN)$`),
	"time":         regexp.MustCompile(`^(After|AfterFunc|LoadLocation|Local|NewTicker|NewTimer|Now|Since|Sleep|Tick|Until)$`),
}

// bounds are all that integer code takes from package math.
var bounds = regexp.MustCompile(`^(Max|Min)(Int|Uint)[0-9]*$`)

func (s *source) purity() {
	for _, spec := range s.file.Imports {
		s.pureImport(spec)
	}
	names := s.names()
	ast.Inspect(s.file, func(n ast.Node) bool {
		s.concurrency(n)
		if selector, ok := n.(*ast.SelectorExpr); ok {
			s.selector(selector, names[text(selector.X)])
		}
		if s.room.floats == "" {
			s.float(n)
		}
		return true
	})
}

func (s *source) pureImport(spec *ast.ImportSpec) {
	name := imported(spec)
	for _, forbidden := range impure {
		if under(name, forbidden) {
			s.breach(spec.Pos(), "pure %s imports %s", s.folder, name)
		}
	}
	if spec.Name != nil && spec.Name.Name == "." {
		s.breach(spec.Pos(), "pure %s hides %s in a dot import", s.folder, name)
	}
	if name == "math/cmplx" && s.room.floats == "" {
		s.breach(spec.Pos(), "pure %s imports %s: integers only", s.folder, name)
	}
}

func (s *source) concurrency(n ast.Node) {
	switch n := n.(type) {
	case *ast.GoStmt:
		s.breach(n.Pos(), "pure %s starts a goroutine", s.folder)
	case *ast.SelectStmt:
		s.breach(n.Pos(), "pure %s selects", s.folder)
	case *ast.ChanType:
		s.breach(n.Pos(), "pure %s has a channel", s.folder)
	case *ast.SendStmt:
		s.breach(n.Pos(), "pure %s sends on a channel", s.folder)
	case *ast.UnaryExpr:
		if n.Op == token.ARROW {
			s.breach(n.Pos(), "pure %s receives from a channel", s.folder)
		}
	case *ast.CallExpr:
		if name := text(n.Fun); name == "print" || name == "println" {
			s.breach(n.Pos(), "pure %s prints", s.folder)
		}
	}
}

// selector judges from.name, where from is the path of an import, or "" for anything else.
func (s *source) selector(n *ast.SelectorExpr, from string) {
	if forbidden := impureNames[from]; forbidden != nil && forbidden.MatchString(n.Sel.Name) {
		s.breach(n.Pos(), "pure %s uses %s.%s", s.folder, from, n.Sel.Name)
	}
	if s.room.floats != "" {
		return
	}
	if from == "math" && !bounds.MatchString(n.Sel.Name) || strings.Contains(n.Sel.Name, "Float") {
		s.breach(n.Pos(), "pure %s uses %s: integers only", s.folder, n.Sel.Name)
	}
}

func (s *source) float(n ast.Node) {
	switch n := n.(type) {
	case *ast.Ident:
		switch n.Name {
		case "float32", "float64", "complex64", "complex128":
			s.breach(n.Pos(), "pure %s uses %s: integers only", s.folder, n.Name)
		}
	case *ast.BasicLit:
		if n.Kind == token.FLOAT || n.Kind == token.IMAG {
			s.breach(n.Pos(), "pure %s uses %s: integers only", s.folder, n.Value)
		}
	}
}

// version ends the path of a module's later major versions, and is no part of the package's name.
var version = regexp.MustCompile(`^v[0-9]+$`)

// names maps what an import is called in this file to its path.
func (s *source) names() map[string]string {
	names := map[string]string{}
	for _, spec := range s.file.Imports {
		name := imported(spec)
		called := path.Base(name)
		if version.MatchString(called) {
			called = path.Base(path.Dir(name))
		}
		if spec.Name != nil {
			called = spec.Name.Name
		}
		names[called] = name
	}
	return names
}

// text returns the name that an expression is, or "" if it is more than a name.
func text(n ast.Expr) string {
	if ident, ok := n.(*ast.Ident); ok {
		return ident.Name
	}
	return ""
}
