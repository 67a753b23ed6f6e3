package main

import (
	"fmt"
	"io"

	"cairn/daemon"
	"cairn/miner/stratum"
)

// serveMiners opens the door for other people's miners, if it is asked for.
func serveMiners(out io.Writer, listen string, d *daemon.Daemon, cfg daemon.Config) (end func(), err error) {
	if listen == "" {
		return func() {}, nil
	}
	c := stratum.Config{Params: cfg.Params, Chain: d.Work(), Listen: listen, Log: cfg.Logger}
	if cfg.HasPay {
		c.Pay = &cfg.Pay
	}
	s, err := stratum.Start(c)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(out, "miners connect to stratum+tcp://%s\n", s.Addr())
	return func() { warn(cfg.Logger, "close stratum", s.Close()) }, nil
}
