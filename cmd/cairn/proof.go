package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"cairn/chain"
	"cairn/converge"
	"cairn/rpc"
)

func proofCommand() *cobra.Command {
	cmd := query("proof TXID", "Prove to whom has headers alone that a block holds a transaction", words("TXID"), runProof)
	cmd.Long = "Prints a proof that a block of the best chain holds a transaction: Bitcoin's\n" +
		"merkleblock (BIP37) in hex, a few hundred bytes however large the block is.\n" +
		"`cairn verify-proof` checks it with headers alone, without trusting any node."
	cmd.Example = "  cairn proof TXID > paid.proof\n  cairn proof TXID --headers chain.headers > paid.proof"
	cmd.Flags().String("block", "", "the `ID` of the block that holds it, for one off the best chain")
	cmd.Flags().String("headers", "", "also write the headers of the best chain to this `FILE`, 80 bytes each")
	return cmd
}

// proven is what the command proof answers.
type proven struct {
	TxID    chain.Hash `json:"txid"`
	Block   chain.Hash `json:"block"`
	Proof   rpc.Hex    `json:"proof"`
	Headers int        `json:"headers,omitempty"` // written to the file
}

func runProof(cmd *cobra.Command, node *rpc.Client, args []string) error {
	id, err := idArgument(cmd, args[0])
	if err != nil {
		return err
	}
	params := []any{[]chain.Hash{id}}
	if block := text(cmd, "block"); block != "" {
		params = append(params, block)
	}
	raw, err := ask[rpc.Hex](cmd.Context(), node, "gettxoutproof", params...)
	if absent(err) {
		return &unknownError{fmt.Errorf("nothing to prove: %w (--block names one; `cairn tx %v` tells where it stands)", err, id)}
	}
	if err != nil {
		return err
	}
	proof, err := chain.DecodeMerkleProof(raw)
	if err != nil {
		return fmt.Errorf("the node's proof: %w", err)
	}
	p := proven{TxID: id, Block: proof.Header.ID(), Proof: raw}
	if path := text(cmd, "headers"); path != "" {
		if p.Headers, err = writeHeaders(cmd.Context(), node, path); err != nil {
			return err
		}
	}
	return show(cmd, p, func(out io.Writer) { fmt.Fprintf(out, "%x\n", []byte(p.Proof)) })
}

func writeHeaders(ctx context.Context, node *rpc.Client, path string) (int, error) {
	p, err := node.Network(ctx)
	if err != nil {
		return 0, err
	}
	headers, err := askHeaders(ctx, node, p)
	if err != nil {
		return 0, err
	}
	return len(headers) / chain.HeaderSize, os.WriteFile(path, headers, 0o644)
}

// askHeaders asks for all headers of the node's best chain, the genesis' first. A
// reorganisation in between shows as headers that do not connect, and we ask anew.
func askHeaders(ctx context.Context, node *rpc.Client, p *chain.Params) ([]byte, error) {
	genesis := p.Genesis.Header.Bytes()
	all := genesis[:]
	for {
		last, err := chain.DecodeHeader(all[len(all)-chain.HeaderSize:])
		if err != nil {
			return nil, err
		}
		page, err := ask[[]rpc.Hex](ctx, node, "getheaders", []chain.Hash{last.ID()})
		if err != nil {
			return nil, err
		}
		next := slices.Concat(page...)
		switch first, err := chain.DecodeHeader(next[:min(chain.HeaderSize, len(next))]); {
		case len(next) == 0:
			return all, nil
		case err != nil:
			return nil, fmt.Errorf("the node's headers: %w", err)
		case first.Prev != last.ID():
			all = genesis[:]
		default:
			all = append(all, next...)
		}
	}
}

func verifyProofCommand() *cobra.Command {
	cmd := asking(&cobra.Command{
		Use: "verify-proof {FILE | HEX | -}", Short: "Check a proof with headers alone",
		Long: "Checks a proof of `cairn proof` as a light client does: every header from the genesis\n" +
			"on must have its work and the difficulty that the rules ask for, and the proof must\n" +
			"lead to the root that one of them names. The headers come from a file, without any\n" +
			"node and network, or from a node, which is not believed either: it can at most hide\n" +
			"a heavier chain. Prints which transactions are proven, how deep they lie and how\n" +
			"safe that is. Exit codes: 0 proven, 1 not, 2 the headers do not hold its block.",
		Example: "  cairn verify-proof paid.proof --headers chain.headers\n  cairn proof TXID | cairn verify-proof - --txid TXID",
		Args:    words("FILE or HEX"),
		RunE:    runVerifyProof,
	})
	cmd.Flags().String("headers", "", "the headers, in a `FILE` that `cairn proof --headers` wrote; default: ask a node")
	cmd.Flags().String("txid", "", "the `ID` that must be among those proven")
	return cmd
}

func runVerifyProof(cmd *cobra.Command, args []string) error {
	proof, err := readProof(cmd, args[0])
	if err != nil {
		return err
	}
	txs, err := proof.Txs()
	if err != nil {
		return fmt.Errorf("the proof proves nothing: %w", err)
	}
	if want := text(cmd, "txid"); want != "" {
		id, err := idArgument(cmd, want)
		if err != nil {
			return err
		}
		if !slices.Contains(txs, id) {
			return fmt.Errorf("the proof is sound, but it does not prove %v", id)
		}
	}
	p, headers, err := headersFor(cmd)
	if err != nil {
		return err
	}
	v, err := weigh(p, headers, proof, txs)
	if err != nil {
		return err
	}
	return show(cmd, v, v.say)
}

// readProof takes a file's name, hex, or - for standard input.
func readProof(cmd *cobra.Command, from string) (*chain.MerkleProof, error) {
	said := from
	if from == "-" {
		raw, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), 1<<24))
		if err != nil {
			return nil, err
		}
		said = string(raw)
	} else if raw, err := os.ReadFile(from); err == nil {
		said = string(raw)
	}
	raw, err := hex.DecodeString(strings.TrimSpace(said))
	if err != nil {
		return nil, misused(cmd, "%q is neither a file nor a proof in hex: `cairn proof TXID` makes one", fmt.Sprintf("%.60s", from))
	}
	proof, err := chain.DecodeMerkleProof(raw)
	if err != nil {
		return nil, fmt.Errorf("this is no proof: %w", err)
	}
	return proof, nil
}

// headersFor reads the headers, and the rules that they must obey.
func headersFor(cmd *cobra.Command) (*chain.Params, []byte, error) {
	if path := text(cmd, "headers"); path != "" {
		p, err := params(cmd)
		if err != nil {
			return nil, nil, err
		}
		raw, err := os.ReadFile(path)
		return p, raw, err
	}
	node, err := dial(cmd)
	if err != nil {
		return nil, nil, err
	}
	p, err := node.Network(cmd.Context())
	if err != nil {
		return nil, nil, err
	}
	raw, err := askHeaders(cmd.Context(), node, p)
	return p, raw, err
}

// verified is what the command verify-proof answers.
type verified struct {
	Txs     []chain.Hash `json:"txids"` // proven
	Block   chain.Hash   `json:"block"` // that holds them
	Height  uint64       `json:"height"`
	Depth   uint64       `json:"depth"` // under the last header
	Tip     chain.Hash   `json:"tip"`   // that header
	Work    chain.Work   `json:"chainwork"`
	Genesis chain.Hash   `json:"genesis"`
	Risk    []proofRisk  `json:"risk"`
	Assumes []string     `json:"assumptions"`
}

type proofRisk struct {
	Adversary   float64 `json:"adversary"` // share of all work
	Probability float64 `json:"probability"`
}

// weigh walks the headers and finds the proof's block among them.
func weigh(p *chain.Params, raw []byte, proof *chain.MerkleProof, txs []chain.Hash) (*verified, error) {
	block := proof.Header.ID()
	tip, at, err := walkHeaders(p, raw, block)
	if err != nil {
		return nil, err
	}
	if at == nil {
		return nil, &unknownError{fmt.Errorf("the proof is sound, but its block %v is not among the %d headers: it lies on another branch, or behind their end", block, len(raw)/chain.HeaderSize)}
	}
	v := &verified{
		Txs: txs, Block: block, Height: *at, Depth: tip.Height - *at + 1, Tip: tip.ID, Work: tip.Work, Genesis: p.GenesisID(),
		Assumes: []string{"no chain with more work exists than these headers", "the attacker's share of all work is as given, and he began when the block was found"},
	}
	for _, q := range adversaries {
		v.Risk = append(v.Risk, proofRisk{q, converge.Reversal(q, int(min(v.Depth, maxRisky)))})
	}
	return v, nil
}

// walkHeaders checks headers from the genesis on, and tells where a block stands
// among them.
func walkHeaders(p *chain.Params, raw []byte, block chain.Hash) (tip chain.State, at *uint64, err error) {
	if len(raw) == 0 || len(raw)%chain.HeaderSize != 0 {
		return tip, nil, fmt.Errorf("%d bytes are no headers of %d bytes each", len(raw), chain.HeaderSize)
	}
	for i := 0; i < len(raw); i += chain.HeaderSize {
		h, err := chain.DecodeHeader(raw[i : i+chain.HeaderSize])
		switch {
		case err != nil:
		case i == 0 && h.ID() != p.GenesisID():
			err = errors.New("it is not the genesis of the network: name another with --network or --network-file")
		case i == 0:
			tip = p.GenesisState()
		default:
			if err = chain.CheckHeader(p, h); err == nil {
				tip, err = chain.ConnectHeader(p, tip, h)
			}
		}
		if err != nil {
			return tip, nil, fmt.Errorf("header %d (%v): %w", i/chain.HeaderSize, h.ID(), err)
		}
		if tip.ID == block {
			height := tip.Height
			at = &height
		}
	}
	return tip, at, nil
}

func (v *verified) say(out io.Writer) {
	for _, id := range v.Txs {
		fmt.Fprintf(out, "transaction %v\n", id)
	}
	if len(v.Txs) == 0 {
		fmt.Fprintln(out, "no transaction: the proof names none")
	}
	fmt.Fprintf(out, "  stands in block %v at height %d,\n  %s deep under %v\n", v.Block, v.Height, count(int(v.Depth), "block", "blocks"), v.Tip)
	fmt.Fprintf(out, "  every header from the genesis %s on has its work, %s in all\n", short(v.Genesis), shortWork(v.Work))
	for _, r := range v.Risk {
		fmt.Fprintf(out, "  an attacker with %s of all work ever undoes it with probability %s\n", chance(r.Adversary), chance(r.Probability))
	}
	fmt.Fprintf(out, "assuming that %s,\nand that %s\n", v.Assumes[0], v.Assumes[1])
}
