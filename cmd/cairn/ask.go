package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

const (
	passphraseVariable = prefix + "PASSPHRASE"
	maxSecret          = 4096 // bytes of a passphrase or mnemonic
)

func passphraseFlag(cmd *cobra.Command) {
	cmd.Flags().String("passphrase-file", "", "read the passphrase from this `FILE` instead of asking (or set "+passphraseVariable+")")
}

// passphrase opens a wallet: from a file, the environment, or the person at the
// terminal, who is asked as often as again says.
func passphrase(cmd *cobra.Command, ask func() (string, error)) (string, error) {
	if path := text(cmd, "passphrase-file"); path != "" {
		return secretFile(path)
	}
	if p := os.Getenv(passphraseVariable); p != "" {
		return p, nil
	}
	if _, ok := terminal(cmd); !ok {
		return "", fmt.Errorf("the wallet needs a passphrase and this is no terminal to ask at: give --passphrase-file, or set %s", passphraseVariable)
	}
	typed, err := ask()
	if err == nil {
		fmt.Fprintln(cmd.ErrOrStderr(), "a moment: trying a passphrase is slow on purpose, so that nobody guesses it …")
	}
	return typed, err
}

// oldPassphrase is that of an existing wallet.
func oldPassphrase(cmd *cobra.Command) (string, error) {
	return passphrase(cmd, func() (string, error) { return hidden(cmd, "Passphrase: ") })
}

// newPassphrase is for a wallet to be made: asked for twice.
func newPassphrase(cmd *cobra.Command) (string, error) {
	return passphrase(cmd, func() (string, error) {
		first, err := hidden(cmd, "New passphrase: ")
		if err != nil {
			return "", err
		}
		second, err := hidden(cmd, "Once more: ")
		if err == nil && first != second {
			err = errors.New("the two passphrases differ: try again")
		}
		return first, err
	})
}

// secretFile reads a secret without the line's end that editors add.
func secretFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	s, err := secret(f)
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

func secret(r io.Reader) (string, error) {
	raw, err := io.ReadAll(io.LimitReader(r, maxSecret+1))
	s := strings.TrimRight(string(raw), "\r\n")
	switch {
	case err != nil:
		return "", err
	case len(raw) > maxSecret:
		return "", fmt.Errorf("more than %d bytes", maxSecret)
	case s == "":
		return "", errors.New("nothing is in it")
	}
	return s, nil
}

// terminal is the person's, if standard input is one.
func terminal(cmd *cobra.Command) (*os.File, bool) {
	f, ok := cmd.InOrStdin().(*os.File)
	return f, ok && term.IsTerminal(int(f.Fd()))
}

// hidden asks at the terminal without showing what is typed.
func hidden(cmd *cobra.Command, prompt string) (string, error) {
	f, _ := terminal(cmd)
	before, err := term.GetState(int(f.Fd()))
	if err != nil {
		return "", err
	}
	defer leaveOnInterrupt(cmd, func() { _ = term.Restore(int(f.Fd()), before) })()
	fmt.Fprint(cmd.ErrOrStderr(), prompt)
	typed, err := term.ReadPassword(int(f.Fd()))
	fmt.Fprintln(cmd.ErrOrStderr())
	return string(typed), err
}

// line asks at the terminal.
func line(cmd *cobra.Command, prompt string) (string, error) {
	defer leaveOnInterrupt(cmd, func() {})()
	fmt.Fprint(cmd.ErrOrStderr(), prompt)
	typed, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
	if errors.Is(err, io.EOF) && typed != "" {
		err = nil
	}
	return strings.TrimSpace(typed), err
}

// leaveOnInterrupt ends the program when the person at the prompt presses Ctrl-C:
// nothing can call a read at a terminal back. The function that it returns ends
// the watch.
func leaveOnInterrupt(cmd *cobra.Command, restore func()) func() bool {
	return context.AfterFunc(cmd.Context(), func() {
		restore()
		fmt.Fprintln(cmd.ErrOrStderr())
		os.Exit(failed)
	})
}

// agree asks for a yes, if there is anybody to ask.
func agree(cmd *cobra.Command, question string) error {
	if _, ok := terminal(cmd); !ok || yes(cmd, "yes") {
		return nil
	}
	typed, err := line(cmd, question+" [y/N] ")
	if err != nil {
		return err
	}
	if t := strings.ToLower(typed); t != "y" && t != "yes" {
		return errors.New("nothing was sent")
	}
	return nil
}
