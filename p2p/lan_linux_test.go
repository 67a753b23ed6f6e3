package p2p

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"unsafe"

	"cairn/chain"
)

// alone is set in a process that has a network of its own.
const alone = "CAIRN_P2P_TEST_ALONE"

// On a network with multicast two nodes find each other, and a node of another
// genesis finds nobody. The network is a namespace with nothing but a loopback
// device: no packet of this test leaves it.
func TestPeersOnTheLocalNetworkFindEachOther(t *testing.T) {
	if os.Getenv(alone) == "" {
		elsewhere(t)
		return
	}
	multicastOnLoopback(t)
	cfg := eager()
	cfg.LAN = true
	other := cfg
	other.Genesis = chain.Regtest().GenesisID()
	stranger := begin(t, other)
	a, b := begin(t, cfg), begin(t, cfg)
	acquainted(t, a, b)
	if wanted := append(a.Wanted(), b.Wanted()...); len(wanted) != 0 {
		t.Errorf("found, and taken for asked for: %v", wanted)
	}
	if got := len(stranger.roster.members); got != 0 {
		t.Errorf("a node of another genesis met %d peers", got)
	}
	if len(a.memory.list())+len(b.memory.list()) == 0 {
		t.Error("nobody wrote down whom it found")
	}
}

// elsewhere runs the calling test again in a network namespace of its own.
func elsewhere(t *testing.T) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), alone+"=yes")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.Process == nil {
		t.Skipf("no network namespace can be made here: %v", err)
	}
	if err != nil {
		t.Fatalf("in its own network: %v\n%s", err, out)
	}
}

// multicastOnLoopback switches the loopback device on, with multicast.
func multicastOnLoopback(t *testing.T) {
	t.Helper()
	s, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Close(s) }()
	request := struct { // struct ifreq of netdevice(7)
		name  [syscall.IFNAMSIZ]byte
		flags uint16
		_     [22]byte
	}{flags: syscall.IFF_UP | syscall.IFF_RUNNING | syscall.IFF_LOOPBACK | syscall.IFF_MULTICAST}
	copy(request.name[:], "lo")
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(s), syscall.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&request)))
	runtime.KeepAlive(&request)
	if errno != 0 {
		t.Fatalf("switch lo on: %v", errno)
	}
}

// Where no router answers, a node that asks for a way in runs and ends like any
// other.
func TestNoRouterAnswers(t *testing.T) {
	if os.Getenv(alone) == "" {
		elsewhere(t)
		return
	}
	multicastOnLoopback(t)
	cfg := eager()
	cfg.NAT = true
	a, b := begin(t, cfg), begin(t, cfg)
	link(t, a, b)
	if err := a.PublishTx(tx("hello")); err != nil {
		t.Fatal(err)
	}
	next(t, b.txs)
}
