package rpc

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"cairn/chain"
	"cairn/chain/chaintest"
)

// published compiles the schema of OpenRPC documents, with the one that it refers
// to (testdata/openrpc tells where they come from).
func published(t *testing.T) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft7)
	for url, file := range map[string]string{
		"https://meta.open-rpc.org/":      "open-rpc.json",
		"https://meta.json-schema.tools/": "json-schema-tools.json",
		"https://meta.json-schema.tools":  "json-schema-tools.json",
	} {
		raw, err := os.ReadFile("testdata/openrpc/" + file)
		if err != nil {
			t.Fatal(err)
		}
		doc := readAny(t, raw).(map[string]any)
		delete(doc, "$schema") // a dialect that says of itself that it is draft 7
		delete(doc, "$id")
		if err := c.AddResource(url, doc); err != nil {
			t.Fatal(err)
		}
	}
	return must(c.Compile("https://meta.open-rpc.org/"))
}

func readAny(t *testing.T, raw []byte) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(string(raw)))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestDiscoveryIsAnOpenRPCDocument(t *testing.T) {
	w := newWorld(t)
	w.work = newShop(t)
	s := serve(t, w)
	raw := get[json.RawMessage](t, s, "rpc.discover")
	if err := published(t).Validate(readAny(t, raw)); err != nil {
		t.Errorf("%v", err)
	}
	var doc OpenRPC
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Methods) != len(methods) || doc.Info.Version != "v1.2.3-4-gabcdef" {
		t.Errorf("%d methods of %d, version %s", len(doc.Methods), len(methods), doc.Info.Version)
	}
	for i, m := range doc.Methods {
		if m.Name != methods[i].name || len(m.Params) != len(methods[i].params) {
			t.Errorf("method %d is %s", i, m.Name)
		}
	}
}

// What methods answer is what the document says of them.
func TestAnswersAreAsDiscovered(t *testing.T) {
	w := newWorld(t)
	s := serve(t, w)
	get[any](t, s, "addnode", "/ip4/127.0.0.1/tcp/5", "add")
	raw := get[json.RawMessage](t, s, "rpc.discover")
	a3, address := w.names["a3"].ID(), w.p.FormatAddress(chaintest.Address(9))
	params := map[string][]any{
		"getblockhash": {2}, "getblock": {a3, 2}, "getblockheader": {a3}, "getblockstats": {3}, "getrawtransaction": {w.paid.ID(), 1},
		"getmempoolentry": {w.first.ID()}, "getmempoolancestors": {w.second.ID(), true}, "getmempooldescendants": {w.first.ID()},
		"gettxout": {w.first.ID(), 1}, "getaddresscoins": {address, 0}, "getaddresshistory": {address}, "validateaddress": {address},
		"gettxspendingprevout": {[]any{map[string]any{"txid": w.first.ID(), "vout": 0}}}, "estimatesmartfee": {6},
		"decoderawtransaction": {Hex(w.paid.Bytes())}, "testmempoolaccept": {[]Hex{w.rival.Bytes()}}, "gettxoutproof": {[]chain.Hash{w.paid.ID()}},
		"getheaders": {[]chain.Hash{}}, "getconvergence": {w.paid.ID()}, "waitforblockheight": {1}, "help": {"help"},
	}
	doc := readAny(t, raw).(map[string]any)
	shown := 0
	for i := range methods {
		m := &methods[i]
		given, ok := params[m.name]
		if !ok && len(m.params) > 0 && !m.params[0].optional || m.name == "stop" || m.name == "waitfornewblock" {
			continue
		}
		a, _ := ask(t, s, m.name, given...)
		if a.Error != nil { // what this world has none of
			continue
		}
		shown++
		one := map[string]any{"components": doc["components"], "$ref": "#/result", "result": doc["methods"].([]any)[i].(map[string]any)["result"].(map[string]any)["schema"]}
		c := jsonschema.NewCompiler()
		c.DefaultDraft(jsonschema.Draft2020)
		if err := c.AddResource("mem:///"+m.name, one); err != nil {
			t.Fatal(err)
		}
		if err := must(c.Compile("mem:///" + m.name)).Validate(readAny(t, a.Result)); err != nil {
			t.Errorf("%s: %v\n%s", m.name, err, a.Result)
		}
	}
	if shown < 50 {
		t.Errorf("only %d methods answered", shown)
	}
}
