package main

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/mdp/qrterminal/v3"
	"github.com/spf13/cobra"

	"cairn/chain"
	"cairn/rpc"
	"cairn/wallet"
)

const (
	uriScheme = "cairn"
	maxText   = 380 // bytes of a request beside its address: a code of more is wider than 80 columns
)

// invoice is what a payment request asks for (BIP21, with our own scheme).
type invoice struct {
	Address string     `json:"address"`
	Amount  rpc.Amount `json:"amount,omitempty"` // 0 leaves it to the payer
	Label   string     `json:"label,omitempty"`  // who asks
	Message string     `json:"message,omitempty"`
}

// uri is the invoice as one word.
func (v invoice) uri() string {
	q := url.Values{}
	if v.Amount > 0 {
		q.Set("amount", strings.TrimSuffix(strings.TrimRight(v.Amount.String(), "0"), "."))
	}
	if v.Label != "" {
		q.Set("label", v.Label)
	}
	if v.Message != "" {
		q.Set("message", v.Message)
	}
	s := uriScheme + ":" + v.Address
	if len(q) == 0 {
		return s
	}
	return s + "?" + strings.ReplaceAll(q.Encode(), "+", "%20") // BIP21 knows no plus for a space
}

// isURI tells whether a text is meant as a payment request.
func isURI(s string) bool {
	scheme, _, ok := strings.Cut(s, ":")
	return ok && strings.EqualFold(scheme, uriScheme)
}

// parseURI reads a payment request. What it requires of the payer and we do not
// know, it must not be paid without (BIP21, "req-").
func parseURI(s string) (v invoice, err error) {
	u, err := url.Parse(s)
	if err != nil || u.Opaque == "" {
		return v, fmt.Errorf("the payment request %.80q cannot be read: it should look like %s:ADDRESS?amount=1.5", s, uriScheme)
	}
	v.Address = u.Opaque
	q, err := url.ParseQuery(strings.ReplaceAll(u.RawQuery, "+", "%2B"))
	if err != nil {
		return v, fmt.Errorf("the payment request %.80q is mistyped or cut: %w", s, err)
	}
	for key, values := range q {
		if err := v.set(key, values); err != nil {
			return v, err
		}
	}
	return v, nil
}

func (v *invoice) set(key string, values []string) error {
	switch {
	case len(values) > 1 && slices.Contains([]string{"amount", "label", "message"}, key):
		return fmt.Errorf("the payment request names %q %d times: ask for another one", key, len(values))
	case key == "amount":
		amount, err := chain.ParseAmount(values[0])
		if err == nil && amount == 0 {
			err = errors.New("an amount of 0 pays nobody")
		}
		if err != nil {
			return fmt.Errorf("the payment request: %w", err)
		}
		v.Amount = rpc.Amount(amount)
	case key == "label":
		v.Label = values[0]
	case key == "message":
		v.Message = values[0]
	case strings.HasPrefix(key, "req-"):
		return fmt.Errorf("the payment request asks for %q, which this program does not know: it was not paid; ask for one without", rpc.Clean(key))
	}
	return nil
}

func walletRequestCommand() *cobra.Command {
	cmd := purse(&cobra.Command{
		Use: "request [AMOUNT]", Short: "Ask to be paid: a request as text and as a QR code",
		Long: "Hands out a new address and puts it, with the amount and a label, into one word\n" +
			"that `cairn send` takes as its ADDRESS. At a terminal it is drawn as a QR code.",
		Example: "  cairn wallet request 12.5 --label \"Rosa's stones\" --message \"ten of the flat ones\"",
		Args:    upTo("AMOUNT"),
		RunE:    runRequest,
	})
	positive(cmd, negativeAmount)
	cmd.Flags().String("label", "", "a `NAME` for who is paid")
	cmd.Flags().String("message", "", "a `TEXT` on what for; it is in the request, not in the chain")
	cmd.Flags().Bool("qr", false, "draw the code even where this is no terminal")
	return cmd
}

// upTo takes any number of these arguments from the left.
func upTo(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		return words(names[:min(len(args), len(names))]...)(cmd, args)
	}
}

func runRequest(cmd *cobra.Command, args []string) error {
	v := invoice{Label: text(cmd, "label"), Message: text(cmd, "message")}
	if len(args) > 0 {
		amount, err := someAmount(cmd, args[0])
		if err != nil {
			return err
		}
		v.Amount = rpc.Amount(amount)
	}
	if n := len(v.uri()); n > maxText {
		return misused(cmd, "the texts are too long for a code: with them the request has %d bytes, %d are allowed", n, maxText)
	}
	if err := v.payAt(cmd); err != nil {
		return err
	}
	result := struct {
		URI string `json:"uri"`
		invoice
	}{v.uri(), v}
	return show(cmd, result, func(out io.Writer) { v.say(out, yes(cmd, "qr") || isTerminal(cmd.OutOrStdout())) })
}

// payAt hands out a new address of the wallet.
func (v *invoice) payAt(cmd *cobra.Command) error {
	w, err := openWallet(cmd)
	if err != nil {
		return err
	}
	p, err := walletParams(cmd, w)
	if err != nil {
		return err
	}
	a, err := w.NextAddress(wallet.Receive)
	v.Address = p.FormatAddress(a)
	return err
}

// someAmount reads an amount above 0.
func someAmount(cmd *cobra.Command, s string) (chain.Amount, error) {
	amount, err := chain.ParseAmount(s)
	if err != nil {
		return 0, misused(cmd, "%w", err)
	}
	if amount == 0 {
		return 0, misused(cmd, "an amount of 0 pays nobody")
	}
	return amount, nil
}

func (v invoice) say(out io.Writer, draw bool) {
	uri := v.uri()
	if draw {
		v.draw(out)
	}
	fmt.Fprintln(out, uri)
}

// draw shows the code with two rows of it in one line, light on dark: most
// cameras read it the other way round as well.
func (v invoice) draw(out io.Writer) {
	qrterminal.GenerateWithConfig(v.uri(), qrterminal.Config{
		Level: qrterminal.L, Writer: out, HalfBlocks: true, QuietZone: 2,
		BlackChar: qrterminal.BLACK_BLACK, BlackWhiteChar: qrterminal.BLACK_WHITE,
		WhiteChar: qrterminal.WHITE_WHITE, WhiteBlackChar: qrterminal.WHITE_BLACK,
	})
}
