package miner

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The threads that search can be told by their name, and they alone stand back.
func TestThreadsAreNice(t *testing.T) {
	w := newWorld(never)
	m, err := New(Config{Params: regtest, Source: w, Found: w.take, Threads: 2, Nice: 7})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	m.Start()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		found := map[string]int{}
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			t.Fatal(err)
		}
		for _, task := range tasks {
			var tid int
			if _, err := fmt.Sscan(task.Name(), &tid); err != nil {
				t.Fatal(err)
			}
			name, _ := os.ReadFile("/proc/self/task/" + task.Name() + "/comm")
			raw, err := unix.Getpriority(unix.PRIO_PROCESS, tid)
			if err != nil {
				continue // it ended meanwhile
			}
			const zero = 20 // how the system call says nice 0
			found[fmt.Sprint(strings.TrimSpace(string(name)) == "cairn search", " ", zero-raw)]++
		}
		if found["true 7"] == 2 && found["false 7"] == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("threads by name and nice: %v", found)
		}
	}
}
