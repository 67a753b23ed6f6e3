package lab

import (
	"fmt"
	"math/rand/v2"
	"net"
)

// Ports that no system hands out by itself: one of those that it does may be
// somebody's end of a connection by the time a node wants to listen there.
const lowestPort, highestPort = 10_000, 32_000

// FreePorts finds n loopback ports that are free for TCP and UDP. They are held
// until all are found, so that none is found twice; somebody else may still take
// one before a node does, and that node then says so.
func FreePorts(n int) ([]int, error) {
	var ports []int
	for tries := 0; len(ports) < n; tries++ {
		if tries > 100*n {
			return nil, fmt.Errorf("found only %d of %d free ports", len(ports), n)
		}
		port := lowestPort + rand.IntN(highestPort-lowestPort)
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		l, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		defer l.Close()
		u, err := net.ListenPacket("udp", addr)
		if err != nil {
			continue
		}
		defer u.Close()
		ports = append(ports, port)
	}
	return ports, nil
}
