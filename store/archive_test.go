package store

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
)

// archived is the chain of a store in a file, and its blocks.
func archived(t *testing.T, s *book, side bool) (file []byte, blocks []Raw) {
	t.Helper()
	n, seq, err := s.Chain(side)
	if err != nil {
		t.Fatal(err)
	}
	for raw, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		blocks = append(blocks, raw)
	}
	var b bytes.Buffer
	h := ArchiveHeader{Network: s.params.Name, Genesis: s.params.GenesisID(), Blocks: n}
	if err := WriteArchive(&b, h, seq); err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), blocks
}

func readArchive(r io.Reader) (h ArchiveHeader, blocks []Raw, err error) {
	a, err := OpenArchive(r)
	if err != nil {
		return h, nil, err
	}
	for chunk, err := range a.Chunks() {
		if err != nil {
			return a.ArchiveHeader, blocks, err
		}
		list, err := CutBlocks(chunk)
		if err != nil {
			return a.ArchiveHeader, blocks, err
		}
		blocks = append(blocks, list...)
	}
	return a.ArchiveHeader, blocks, nil
}

func TestArchiveReadsAsWritten(t *testing.T) {
	p := chaintest.Easy()
	s := NewMemory(p)
	w := lived(t, s, p)
	for side, count := range map[bool]int{false: int(w.tip.entry.State.Height), true: len(w.order) - 1} {
		file, blocks := archived(t, s.book, side)
		h, read, err := readArchive(bytes.NewReader(file))
		if err != nil || h.Genesis != p.GenesisID() || h.Network != p.Name || h.Blocks != uint64(count) {
			t.Fatalf("%+v, %v", h, err)
		}
		if len(read) != count || len(blocks) != count {
			t.Fatalf("%d blocks of %d, want %d", len(read), len(blocks), count)
		}
		seen := map[chain.Hash]bool{p.GenesisID(): true}
		for i, raw := range read {
			if raw.ID != blocks[i].ID || !bytes.Equal(raw.Bytes, blocks[i].Bytes) {
				t.Errorf("block %d is %v, was %v", i, raw.ID, blocks[i].ID)
			}
			b, err := chain.Remembered(raw.ID, raw.Bytes)
			if err != nil || !seen[b.Header().Prev] {
				t.Errorf("block %d comes before its parent (%v)", i, err)
			}
			seen[raw.ID] = true
		}
	}
}

// Wherever a file is cut or bent, it is refused, and not later than after the
// chunk in which that is.
func TestDamagedArchiveIsRefused(t *testing.T) {
	p := chaintest.Easy()
	s := NewMemory(p)
	lived(t, s, p)
	file, _ := archived(t, s.book, true)
	for at := range file {
		var bad *ArchiveError
		if _, _, err := readArchive(bytes.NewReader(file[:at])); !errors.As(err, &bad) || bad.At > int64(at) {
			t.Fatalf("cut at %d: %v", at, err)
		}
		bent := bytes.Clone(file)
		bent[at] ^= 8
		if _, _, err := readArchive(bytes.NewReader(bent)); !errors.As(err, &bad) || bad.At > int64(at) {
			t.Fatalf("bent at %d: %v", at, err)
		}
	}
	var bad *ArchiveError
	if _, _, err := readArchive(bytes.NewReader(append(bytes.Clone(file), 0))); !errors.As(err, &bad) || bad.At != int64(len(file)) {
		t.Errorf("longer: %v", err)
	}
}

func TestArchiveOfADamagedStoreIsNotWritten(t *testing.T) {
	p := chaintest.Easy()
	s := NewMemory(p)
	w := lived(t, s, p)
	change := newBatch()
	raw := w.tip.body.Block().Bytes()
	raw[len(raw)-1] ^= 1
	change.put(keyBody(w.tip.id()), raw)
	tamper(t, s.book, change)
	n, blocks, err := s.Chain(false)
	if err != nil {
		t.Fatal(err)
	}
	if err := WriteArchive(io.Discard, ArchiveHeader{Blocks: n}, blocks); err == nil {
		t.Error("a damaged body was sealed")
	}
}
