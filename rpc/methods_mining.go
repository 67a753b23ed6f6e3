package rpc

import (
	"math/big"

	"cairn/chain"
	"cairn/node"
)

func miningMethods() []method {
	return []method{
		define("getmininginfo", "Our own mining and the network's.", getMiningInfo),
		define("getnetworkhashps", "Hashes a second of the whole network, guessed from the work of blocks and the time that they took.", getNetworkHashPS,
			param{name: "nblocks", kind: number, optional: true, doc: "how many blocks; -1 is the default; default 120"},
			param{name: "height", kind: number, optional: true, doc: "of the last of them; default -1, the tip"}),
		define("getgenerate", "Whether our own mining is on.", func(c *call) (bool, error) { return c.Mining.Status().On, nil }),
		define("gethashespersec", "Hashes a second of our own mining.", func(c *call) (uint64, error) { return c.Mining.Status().Hashrate, nil }),
		slowly(define("setgenerate", "Switches our own mining on or off.", setGenerate,
			param{name: "generate", kind: boolean, doc: "whether to mine"},
			param{name: "genproclimit", kind: number, optional: true, doc: "threads; default: as many as before"})),
		slowly(define("generate", "Finds blocks now that pay the node's own address, and returns their ids.", generate,
			param{name: "nblocks", kind: number, doc: "how many, one after the other"},
			param{name: "maxtries", kind: number, optional: true, doc: "nonces to try in all; default: no limit"})),
		slowly(define("generatetoaddress", "Finds blocks now, and returns their ids.", generateToAddress,
			param{name: "nblocks", kind: number, doc: "how many, one after the other"},
			param{name: "address", kind: address, doc: "who is paid"},
			param{name: "maxtries", kind: number, optional: true, doc: "nonces to try in all; default: no limit"})),
	}
}

// MiningInfo is the result of getmininginfo.
type MiningInfo struct {
	Blocks      uint64         `json:"blocks"`
	Bits        chain.Bits     `json:"bits"`
	Target      string         `json:"target"`
	Difficulty  float64        `json:"difficulty"`
	NetworkRate float64        `json:"networkhashps"` // hashes a second, guessed from the last 120 blocks
	Pooled      int            `json:"pooledtx"`
	Chain       string         `json:"chain"`
	Next        NextBlock      `json:"next"`
	Generate    bool           `json:"generate"`
	Threads     int            `json:"genproclimit"`
	Rate        uint64         `json:"hashespersec"`
	Mining      MiningStatus   `json:"mining"`
	Stratum     *StratumStatus `json:"stratum,omitempty"`
	Pay         string         `json:"pay,omitempty"` // the address that our blocks pay
	Warnings    string         `json:"warnings"`
}

// NextBlock is what the next block must be like.
type NextBlock struct {
	Height     uint64     `json:"height"`
	Bits       chain.Bits `json:"bits"`
	Target     string     `json:"target"`
	Difficulty float64    `json:"difficulty"`
}

func getMiningInfo(c *call) (*MiningInfo, error) {
	v, err := c.view()
	if err != nil {
		return nil, err
	}
	tip, err := v.Tip()
	if err != nil {
		return nil, err
	}
	rate, err := networkRate(v, tip.State, usualRate)
	if err != nil {
		return nil, err
	}
	s, mining := tip.State, c.mining(tip.State)
	info := &MiningInfo{
		Blocks: s.Height, Bits: s.Bits, Target: target(s.Bits), Difficulty: difficulty(s.Bits),
		NetworkRate: rate, Pooled: c.Pool.Info().Count, Chain: c.Params.Name, Next: next(c.Params, s),
		Generate: mining.On, Threads: mining.Threads, Rate: mining.Hashrate, Mining: mining, Stratum: c.stratum(tip.State),
		Warnings: warning(c.Control),
	}
	if mining.Pay != nil {
		info.Pay = c.Params.FormatAddress(*mining.Pay)
	}
	return info, nil
}

// mining is our own search, seen from the tip.
func (c *call) mining(tip chain.State) MiningStatus {
	m := c.Mining.Status()
	m.Expected = expected(chain.NextBits(c.Params, tip), m.Hashrate)
	return m
}

// stratum is the door for other people's miners; nil if there is none.
func (c *call) stratum(tip chain.State) *StratumStatus {
	if c.Stratum == nil {
		return nil
	}
	s := c.Stratum.Status()
	s.Expected = expected(chain.NextBits(c.Params, tip), s.Hashrate)
	return &s
}

// expected is how many seconds a block takes on average; 0 if nobody searches.
func expected(bits chain.Bits, rate uint64) float64 {
	if rate == 0 {
		return 0
	}
	hashes, _ := new(big.Float).SetInt(bits.Work().Big()).Float64()
	return hashes / float64(rate)
}

func next(p *chain.Params, tip chain.State) NextBlock {
	b := chain.NextBits(p, tip)
	return NextBlock{Height: tip.Height + 1, Bits: b, Target: target(b), Difficulty: difficulty(b)}
}

// usualRate is how many blocks a guess of the network's hash rate looks at.
const usualRate = 120

func getNetworkHashPS(c *call) (float64, error) {
	n, height := argOr(c, 0, int64(usualRate)), argOr(c, 1, int64(-1))
	if n < -1 || n == 0 {
		return 0, Errorf(InvalidParameter, "Invalid nblocks. Must be a positive number or -1.")
	}
	if n == -1 { // once "since the difficulty changed", which is every block here
		n = usualRate
	}
	v, err := c.view()
	if err != nil {
		return 0, err
	}
	end, err := v.Tip()
	if err != nil {
		return 0, err
	}
	last := end.State
	if height < -1 || height > int64(last.Height) {
		return 0, Errorf(InvalidParameter, "Block does not exist at specified height")
	}
	if height >= 0 {
		if last, err = stateAt(v, uint64(height)); err != nil {
			return 0, err
		}
	}
	return networkRate(v, last, uint64(n))
}

// networkRate is the work of n blocks up to last over the time that they took, in
// hashes a second. The genesis may be years old and does not count.
func networkRate(v Snapshot, last chain.State, n uint64) (float64, error) {
	first, err := stateAt(v, max(last.Height, n+1)-n)
	if err != nil || first.Height >= last.Height || first.Time >= last.Time {
		return 0, err
	}
	work := new(big.Int).Sub(last.Work.Big(), first.Work.Big())
	rate, _ := new(big.Rat).SetFrac(work, big.NewInt(int64(last.Time-first.Time))).Float64()
	return rate, nil
}

// stateAt is the state at a height of the best chain, or the tip's where the chain
// is shorter.
func stateAt(v Snapshot, height uint64) (chain.State, error) {
	tip, err := v.Tip()
	if err != nil || tip.State.Height <= height {
		return tip.State, err
	}
	h, err := v.At(height)
	if err != nil {
		return chain.State{}, err
	}
	var e node.Entry
	e, err = v.Entry(h)
	return e.State, err
}

// maxThreads is what a miner takes, and more than any machine has.
const maxThreads = 1024

func setGenerate(c *call) (any, error) {
	threads := argOr(c, 1, int64(0))
	if !arg[bool](c, 0) {
		return nil, c.Mining.Stop(c.ctx)
	}
	if threads < 0 { // once Bitcoin's word for "all"
		threads = 0
	}
	if threads > maxThreads {
		return nil, Errorf(InvalidParameter, "genproclimit: %d threads are too many: give up to %d", threads, maxThreads)
	}
	return nil, c.Mining.Start(c.ctx, int(threads))
}

// maxGenerate is the most blocks that one call may ask for.
const maxGenerate = 100_000

func generateToAddress(c *call) ([]chain.Hash, error) {
	return c.generate(arg[chain.Address](c, 1), argOr(c, 2, int64(0)))
}

func generate(c *call) ([]chain.Hash, error) {
	pay := c.Mining.Status().Pay
	if pay == nil {
		return nil, Errorf(Misc, "nobody is paid for blocks: restart the node with --mine-to ADDRESS, or call generatetoaddress")
	}
	return c.generate(*pay, argOr(c, 1, int64(0)))
}

func (c *call) generate(pay chain.Address, tries int64) ([]chain.Hash, error) {
	n := arg[int64](c, 0)
	if n < 0 || n > maxGenerate {
		return nil, Errorf(InvalidParameter, "nblocks: give a number from 0 to %d", maxGenerate)
	}
	if tries < 0 {
		return nil, Errorf(InvalidParameter, "maxtries: give a number above 0")
	}
	if n == 0 {
		return []chain.Hash{}, nil
	}
	ids, err := c.Mining.Generate(c.ctx, int(n), pay, uint64(tries))
	return list(ids), err
}
