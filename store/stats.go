package store

// Stats is what a store on disk takes up and how well its caches work.
type Stats struct {
	TreeBytes, LogBytes   int64  // on disk: the tree of keys and small values, and the log of large ones; measured once a minute
	Tables                []int  // files of the tree, by level
	BlockHits, BlockMiss  uint64 // of the cache of the tree's blocks, since the start
	IndexHits, IndexMiss  uint64 // of the cache of indexes and filters
	BlockBytes, IndexSize uint64 // in those caches
}

// Stats looks at the database.
func (b *Badger) Stats() (s Stats) {
	_ = b.whileOpen(func() error { // closed: nothing to tell
		db := b.disk.(*badgerDisk).db
		s.TreeBytes, s.LogBytes = db.Size()
		for _, level := range db.Levels() {
			s.Tables = append(s.Tables, level.NumTables)
		}
		if m := db.BlockCacheMetrics(); m != nil {
			s.BlockHits, s.BlockMiss, s.BlockBytes = m.Hits(), m.Misses(), m.CostAdded()-m.CostEvicted()
		}
		if m := db.IndexCacheMetrics(); m != nil {
			s.IndexHits, s.IndexMiss, s.IndexSize = m.Hits(), m.Misses(), m.CostAdded()-m.CostEvicted()
		}
		return nil
	})
	return s
}
