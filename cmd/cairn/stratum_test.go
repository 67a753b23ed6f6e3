//go:build unix

package main_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"
)

// door is what a node prints for miners.
var door = regexp.MustCompile(`stratum\+tcp://(127\.0\.0\.1:\d+)`)

// minersSeen is what status --json says of miners.
type minersSeen struct {
	Stratum struct {
		Listen      string
		Connections int
		Workers     []struct {
			Name, Pay   string
			Connections int
		}
	}
}

// A miner connects where the node says, works for whom it names, and is let go
// when the node stops.
func TestMinersConnect(t *testing.T) {
	u := newUser(t)
	p := u.background("node", "--network", "regtest", "--listen", "/ip4/127.0.0.1/tcp/0", "--rpc", "127.0.0.1:0", "--stratum", "0")
	u.until("the node opens its door", func() bool { return door.MatchString(p.log.String()) })
	conn, err := net.Dial("tcp", door.FindStringSubmatch(p.log.String())[1])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintln(conn, `{"id": 1, "method": "mining.subscribe", "params": ["cpuminer/2.5.1"]}`)
	fmt.Fprintln(conn, `{"id": 2, "method": "mining.authorize", "params": ["rig", ""]}`)
	lines := bufio.NewScanner(conn)
	for _, want := range []string{`{"id":1,"result":[[["mining.set_difficulty",`, `{"id":2,"result":true,"error":null}`, `"mining.set_difficulty","params":[0.0009765625]`, `"mining.notify"`} {
		if !lines.Scan() || !strings.Contains(lines.Text(), want) {
			t.Fatalf("the node says %q, %v; want %q", lines.Text(), lines.Err(), want)
		}
	}
	rpc := regexp.MustCompile(`rpc +(\S+)`).FindStringSubmatch(p.log.String())[1]
	seen := ask[minersSeen](u, "status", "--network", "regtest", "--rpc", rpc)
	if s := seen.Stratum; s.Connections != 1 || s.Listen != conn.RemoteAddr().String() || len(s.Workers) != 1 ||
		s.Workers[0].Name != "rig" || s.Workers[0].Connections != 1 || !strings.HasPrefix(s.Workers[0].Pay, "rcrn1") {
		t.Errorf("status says of the miner: %+v", s)
	}
	if err := p.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() {
	}
	<-p.ended
	if p.err != nil {
		t.Errorf("it ended with %v", p.err)
	}
}

func TestNoDoorWhereNoneCanBe(t *testing.T) {
	u := newUser(t)
	r := u.try("node", "--network", "regtest", "--listen", "/ip4/127.0.0.1/tcp/0", "--rpc", "127.0.0.1:0", "--stratum", "nonsense")
	if r.code != 1 || !strings.Contains(r.err, "HOST:PORT") {
		t.Errorf("exit %d, %s", r.code, r.err)
	}
}
