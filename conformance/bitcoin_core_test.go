package conformance

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// npm's bitcoin-core, over every method of ours; those that it has no function
// for go through its command.
func TestBitcoinCore(t *testing.T) {
	if _, err := os.Stat("node_modules/bitcoin-core"); err != nil {
		t.Skip("not installed: run `npm ci` in this folder, or `make conformance`")
	}
	s := set(t)
	c := exec.Command("node", "bitcoin_core.js", "http://"+s.addr, user, password)
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.Stderr = os.Stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	client := client{json.NewEncoder(in), bufio.NewScanner(out)}
	client.out.Buffer(nil, 1<<24)
	s.special(client)
	known, byName := s.talk(client)
	in.Close()
	if err := c.Wait(); err != nil {
		t.Error(err)
	}
	s.quit()
	fmt.Printf("bitcoin-core: %d calls through functions of its own, by name: %s\n", known, strings.Join(byName, ", "))
}

// A client is the process that asks for us.
type client struct {
	in  *json.Encoder
	out *bufio.Scanner
}

type answer struct {
	Known  bool
	Result json.RawMessage
	Error  string
}

func (s *scene) put(c client, method, args any) (a answer) {
	s.Helper()
	if err := c.in.Encode(map[string]any{"method": method, "args": args}); err != nil {
		s.Fatal(err)
	}
	if !c.out.Scan() {
		s.Fatalf("%s: no answer: %v", method, c.out.Err())
	}
	if err := json.Unmarshal(c.out.Bytes(), &a); err != nil {
		s.Fatal(err)
	}
	return a
}

// special are the client's own ways to ask: a batch, named parameters, and
// refusals that become exceptions.
func (s *scene) special(c client) {
	batch := []map[string]any{{"method": "getblockcount"}, {"method": "getblockhash", "parameters": []any{99}}, {"method": "getblockhash", "parameters": []any{0}}}
	for _, try := range []struct {
		what         string
		method, args any
		says         string
	}{
		{"a batch", batch, []any{}, params.GenesisID().String()},
		{"names", "getblockhash", map[string]any{"height": 0}, params.GenesisID().String()},
		{"a method that nobody has", "getmoney", []any{}, "-32601: Method not found"},
		{"a block that nobody has", "getblock", []any{strings.Repeat("0", 64)}, "-5: Block not found"},
		{"a number where text belongs", "getblock", []any{7}, "-3: blockhash"},
		{"no parameter", "getblock", []any{}, "-1: blockhash is missing"},
	} {
		a := s.put(c, try.method, try.args)
		told := a.Error + string(a.Result)
		if !strings.Contains(told, try.says) {
			s.Errorf("%s: %s does not hold %q", try.what, told, try.says)
		}
		show(s.T, "bitcoin-core, "+try.what, told)
	}
}

// talk puts each question when the one before is answered.
func (s *scene) talk(c client) (known int, byName []string) {
	for _, q := range s.questions() {
		if q.args == nil {
			q.args = []any{}
		}
		a := s.put(c, q.method, q.args)
		what := strings.Join(words(q), " ")
		if a.Error != "" || !strings.Contains(string(a.Result), q.says) {
			s.Errorf("%.200s: %q, %s does not hold %q", what, a.Error, a.Result, q.says)
			continue
		}
		if a.Known {
			known++
		} else {
			byName = append(byName, q.method)
		}
		show(s.T, cut("bitcoin-core "+what), string(a.Result))
	}
	return known, byName
}
