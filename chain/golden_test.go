package chain_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
)

// samples are one value of every type that is encoded, made from fixed keys. The
// payments are signed for the network "easy" and valid on it.
func samples() (tx *chain.Tx, b *chain.Block) {
	p := chaintest.Easy()
	tx = chaintest.Sign(p, &chain.Tx{
		Inputs: []chain.Input{
			claim(chaintest.Funds(p, 0)),
			claim(chaintest.Funds(p, 3)),
		},
		Outputs: []chain.Output{
			{Value: 1, To: chaintest.Address(1)},
			{Value: 20_000*chain.CRN - 1000, To: chaintest.Address(2)},
		},
		Memo: []byte("golden: ⛰"),
	}, chaintest.Key(0), chaintest.Key(3))
	then := chaintest.Pay(p, chaintest.Outs(tx, 300)[1], chaintest.Key(2), 7)
	parent := p.GenesisState()
	parent.Height = 299
	b = chaintest.Block(p, parent, chaintest.Plan{Name: "golden", Pay: chaintest.Address(9), Txs: []*chain.Tx{tx, then}})
	return tx, b
}

func claim(c chain.Coin) chain.Input {
	return chain.Input{Prev: c.OutPoint, Value: c.Value, Owner: c.Owner}
}

func TestGoldenBytes(t *testing.T) {
	tx, b := samples()
	p := chaintest.Easy()
	empty := &chain.Coinbase{Height: 1 << 33, Extra: make([]byte, 100)}
	got := []string{
		fmt.Sprintf("header %x", b.Header.Append(nil)),
		fmt.Sprintf("header-id %v", b.ID()),
		fmt.Sprintf("tx %x", tx.Bytes()),
		fmt.Sprintf("tx-id %v", tx.ID()),
		fmt.Sprintf("tx-signed %x", tx.SigHash(p.GenesisID())),
		fmt.Sprintf("coinbase %x", b.Coinbase.Bytes()),
		fmt.Sprintf("coinbase-id %v", b.Coinbase.ID()),
		fmt.Sprintf("coinbase %x", empty.Bytes()),
		fmt.Sprintf("block %x", b.Bytes()),
		fmt.Sprintf("announcement %x", b.Announce().Bytes()),
		fmt.Sprintf("brief %x", b.Announce().Brief(2).Bytes()),
	}
	golden(t, "golden.txt", got)
	for _, line := range got {
		kind, text, _ := strings.Cut(line, " ")
		if strings.Contains(kind, "-") {
			continue
		}
		raw := unhex(t, text)
		if again, err := recode(kind, raw); err != nil || !bytes.Equal(again, raw) {
			t.Errorf("%s decodes and encodes as %x, %v", kind, again, err)
		}
		for cut := range raw {
			if _, err := recode(kind, raw[:cut]); chain.KindOf(err) != chain.Malformed {
				t.Fatalf("%s cut to %d of %d bytes: %v", kind, cut, len(raw), err)
			}
		}
		if _, err := recode(kind, append(raw, 0)); chain.KindOf(err) != chain.Malformed {
			t.Errorf("%s with a byte behind: %v", kind, err)
		}
	}
}

// recode decodes and encodes.
func recode(kind string, raw []byte) ([]byte, error) {
	switch kind {
	case "header":
		h, err := chain.DecodeHeader(raw)
		return h.Append(nil), err
	case "tx":
		return coded(chain.DecodeTx(raw))
	case "coinbase":
		return coded(chain.DecodeCoinbase(raw))
	case "block":
		return coded(chain.DecodeBlock(raw))
	case "announcement":
		return coded(chain.DecodeAnnouncement(raw))
	case "brief":
		return coded(chain.DecodeBrief(raw))
	}
	panic(kind)
}

func coded(v interface{ Bytes() []byte }, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return v.Bytes(), nil
}

// The samples are not only well-formed.
func TestGoldenSamplesAreValid(t *testing.T) {
	_, b := samples()
	p := chaintest.Easy()
	checked := chaintest.Check(p, b)
	if checked.Size() != len(b.Bytes()) {
		t.Errorf("size %d, encoded %d", checked.Size(), len(b.Bytes()))
	}
	for i, tx := range checked.Txs() {
		if tx.Size() != len(b.Txs[i].Bytes()) {
			t.Errorf("transaction %d: size %d, encoded %d", i, tx.Size(), len(b.Txs[i].Bytes()))
		}
	}
	if checked.Txs()[0].Fee() != 1000-1 || checked.Txs()[1].Fee() != 7 {
		t.Errorf("fees %v and %v", checked.Txs()[0].Fee(), checked.Txs()[1].Fee())
	}
}

func TestGeneses(t *testing.T) {
	var got []string
	for _, name := range chain.Networks() {
		p, err := chain.Network(name)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%s %v %s", name, p.GenesisID(), hex.EncodeToString(p.Genesis.Bytes())))
		s := p.GenesisState()
		if s.ID != p.Genesis.ID() || s.Height != 0 || s.Gap != 0 || s.Work != p.Genesis.Header.Bits.Work() {
			t.Errorf("%s begins with %+v", name, s)
		}
		var sum chain.Amount
		for _, c := range p.GenesisCoins().Created {
			sum += c.Value
			if !c.Coinbase || c.Height != 0 || p.Mature(c, p.Maturity-1) || !p.Mature(c, p.Maturity) {
				t.Errorf("%s: %+v is no coinbase of height 0", name, c)
			}
		}
		want := chain.Amount(0)
		if name == "dev" || name == "regtest" {
			want = 100_000 * chain.CRN
		}
		if sum != want {
			t.Errorf("%s gives away %v", name, sum)
		}
	}
	golden(t, "geneses.txt", got)
}
