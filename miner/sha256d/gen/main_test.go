package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// Nobody edits the assembly by hand, and nobody forgets to write it anew.
func TestCommittedAssemblyIsWhatWeWrite(t *testing.T) {
	for name, make := range files {
		want, err := make()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		have, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Error(err)
			continue
		}
		if !bytes.Equal(have, want) {
			t.Errorf("%s differs from what `go run . ..` writes", name)
		}
	}
	committed, err := filepath.Glob("../*.s")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range committed {
		if files[filepath.Base(path)] == nil {
			t.Errorf("nothing here writes %s", path)
		}
	}
}
