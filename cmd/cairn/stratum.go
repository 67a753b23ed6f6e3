package main

import (
	"fmt"
	"io"
	"time"

	"cairn/daemon"
	"cairn/miner/stratum"
	"cairn/rpc"
)

// A door is where other people's miners come in; nil if it is closed.
type door struct {
	server *stratum.Server
	cfg    daemon.Config
}

// openDoor opens the door, if it is asked for.
func openDoor(listen string, d *daemon.Daemon, cfg daemon.Config) (*door, error) {
	if listen == "" {
		return nil, nil
	}
	c := stratum.Config{Params: cfg.Params, Chain: d.Work(), Listen: listen, Log: cfg.Logger}
	if cfg.HasPay {
		c.Pay = &cfg.Pay
	}
	s, err := stratum.Start(c)
	if err != nil {
		return nil, err
	}
	open := &door{s, cfg}
	d.Meet(open)
	return open, nil
}

// greet tells where it is.
func (d *door) greet(out io.Writer) {
	if d != nil {
		fmt.Fprintf(out, "miners connect to stratum+tcp://%s\n", d.server.Addr())
	}
}

// shut lets everyone go.
func (d *door) shut() {
	if d != nil {
		warn(d.cfg.Logger, "close stratum", d.server.Close())
	}
}

// Status is the server's in the words of RPC.
func (d *door) Status() rpc.StratumStatus {
	s := d.server.Status()
	sum := rpc.StratumStatus{Listen: s.Listen, Connections: s.Connections, Workers: make([]rpc.StratumWorker, len(s.Workers))}
	for i := range s.Workers {
		w := d.worker(&s.Workers[i])
		sum.Workers[i] = w
		sum.Hashrate += w.Hashrate
		sum.Found += w.Found
		sum.Lost += w.Lost
		sum.Shares.Add(w.Shares)
	}
	return sum
}

func (d *door) worker(w *stratum.Worker) rpc.StratumWorker {
	return rpc.StratumWorker{
		Name: w.Name, Pay: d.cfg.Params.FormatAddress(w.Pay), Connections: w.Connections, Hashrate: uint64(w.HashRate),
		Shares: rpc.Shares{Accepted: w.Accepted, Stale: w.Stale, Duplicate: w.Duplicate, Low: w.Low, Invalid: w.Invalid},
		Found:  w.Blocks, Lost: w.Lost, Difficulty: w.Difficulty, Last: seconds(w.Last),
	}
}

// seconds since 1970; 0 for never.
func seconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}
