package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// hostPort refuses a flag that does not say where somebody listens.
func hostPort(cmd *cobra.Command, flag string) error {
	value := text(cmd, flag)
	if value == "" {
		return nil
	}
	if _, rest, url := strings.Cut(value, "://"); url {
		return misused(cmd, "--%s %q is a URL: leave all but HOST:PORT away, like %s", flag, value, strings.TrimRight(rest, "/"))
	}
	_, port, err := net.SplitHostPort(value)
	if err != nil {
		return misused(cmd, "--%s %q: write HOST:PORT, like 127.0.0.1:%d", flag, value, examplePort)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || fmt.Sprint(n) != port {
		return misused(cmd, "--%s %q: a port is a number from 0 to 65535", flag, value)
	}
	return nil
}

// examplePort stands in examples of HOST:PORT: RPC of the default network.
const examplePort = 29422

// listening adds to an error what to do if it says that nobody can listen there;
// flag is the one that named the address.
func listening(err error, flag string) error {
	advice := ""
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		advice = "another program has that port, perhaps a node: end it, or choose another with " + flag
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		advice = "this machine has no such address: name one of its own with " + flag
	case errors.Is(err, fs.ErrPermission) && bound(err):
		advice = "the system keeps that port for itself: choose one above 1023 with " + flag
	default:
		return err
	}
	return fmt.Errorf("%w: %s", err, advice)
}

// bound tells whether it was an address that could not be had.
func bound(err error) bool {
	op := (*net.OpError)(nil)
	return errors.As(err, &op) && op.Op == "listen"
}
