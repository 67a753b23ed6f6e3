package p2p

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/multiformats/go-varint"

	"cairn/node"
)

const (
	hashBytes  = 32
	headBytes  = 80
	countBytes = 9
)

// maxAnswer is how long the answer to q may be, in bytes.
func maxAnswer(q node.Request, maxBlock int) int {
	switch q.Want {
	case node.WantHello:
		return maxHello
	case node.WantHeaders:
		return countBytes + node.MaxHeaders*headBytes
	case node.WantBodies:
		return countBytes + min(len(q.IDs)*maxBlock, node.MaxBodyBytes+maxBlock)
	case node.WantTxs, node.WantAnnouncement:
		return countBytes + maxBlock
	case node.WantPool:
		return countBytes + node.MaxPoolIDs*hashBytes
	case node.WantPoolTxs:
		return countBytes + maxPoolTxs + maxBlock
	}
	return 0
}

// largestAnswer is how long any answer may be, in bytes.
func largestAnswer(maxBlock int) int {
	return countBytes + max(node.MaxBodyBytes, maxPoolTxs) + maxBlock
}

// errGarbage is wrapped by what only a peer that breaks the protocol causes.
var errGarbage = errors.New("breaks the protocol")

// wire moves one frame each way over one stream: a length as an unsigned varint
// (multiformats), and that many bytes.
type wire struct {
	stream network.Stream
	pace   Pace
	end    time.Time // of the whole exchange
}

// allow is the time at which n more bytes must have come or gone.
func (w wire) allow(n int) time.Time {
	t := time.Now().Add(w.pace.First + time.Duration(n)*time.Second/time.Duration(w.pace.Rate))
	if t.After(w.end) {
		return w.end
	}
	return t
}

// A frame is a payload with room for its length before it: large ones are not
// copied once more.
type frame []byte

// newFrame is where a payload is appended to.
func newFrame() []byte { return make([]byte, varint.MaxLenUvarint63) }

func (f frame) payload() []byte { return f[varint.MaxLenUvarint63:] }

// bytes are the payload's length and the payload.
func (f frame) bytes() []byte {
	length := varint.ToUvarint(uint64(len(f.payload())))
	from := varint.MaxLenUvarint63 - len(length)
	copy(f[from:], length)
	return f[from:]
}

func (w wire) send(f frame) error {
	if err := w.stream.SetWriteDeadline(w.allow(len(f.payload()))); err != nil {
		return err
	}
	if _, err := w.stream.Write(f.bytes()); err != nil {
		return slow(err)
	}
	return w.stream.CloseWrite()
}

// receive reads one frame of at most limit bytes. Its memory is reserved before
// it is allocated, and given back when the stream ends; room, if not nil, may
// make it wait before that.
func (w wire) receive(limit int, room func(size int) error) ([]byte, error) {
	if err := w.stream.SetReadDeadline(w.allow(0)); err != nil {
		return nil, err
	}
	r := bufio.NewReader(w.stream)
	size, err := readSize(r)
	if err != nil {
		return nil, err
	}
	if size > uint64(limit) {
		return nil, fmt.Errorf("%w: a frame of %d bytes where %d are allowed", errGarbage, size, limit)
	}
	if room != nil {
		if err := room(int(size)); err != nil {
			return nil, err
		}
	}
	if err := w.stream.Scope().ReserveMemory(int(size), network.ReservationPriorityHigh); err != nil {
		return nil, err
	}
	if err := w.stream.SetReadDeadline(w.allow(int(size))); err != nil {
		return nil, err
	}
	payload := make([]byte, size)
	_, err = io.ReadFull(r, payload)
	return payload, cut(err)
}

func readSize(r io.ByteReader) (uint64, error) {
	size, err := varint.ReadUvarint(r)
	if errors.Is(err, varint.ErrOverflow) || errors.Is(err, varint.ErrNotMinimal) {
		return 0, fmt.Errorf("%w: frame length: %w", errGarbage, err)
	}
	return size, cut(err)
}

// cut tells a frame that its sender ended too early from a stream that failed.
func cut(err error) error {
	if errors.Is(err, network.ErrReset) { // a connection's end is wrapped in it
		return slow(err)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: the frame is cut short", errGarbage)
	}
	return slow(err)
}

// ErrSlow is wrapped when a peer misses a deadline.
var ErrSlow = errors.New("the peer is too slow")

func slow(err error) error {
	var late net.Error
	if errors.As(err, &late) && late.Timeout() {
		return fmt.Errorf("%w: %w", ErrSlow, err)
	}
	return err
}
