package rpc

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"

	"cairn/chain"
)

// A kind is the type of a parameter: what help calls it, and how it is read.
type kind struct {
	name    string // as help says it
	schema  string // as JSON Schema says it: its types
	text    bool   // a word of a command line is a string as it stands
	example string // as a word of a command line
	read    func(p *chain.Params, name string, raw json.RawMessage) (any, error)
}

const (
	exampleID = "00000000000000000000000000000000000000000000000000000000000000ff"
	exampleTx = "01..."
)

// The kinds, and what they are read as.
var (
	id        = kind{"id (64 hex digits)", "string", true, exampleID, readID}                  // chain.Hash
	text      = kind{"text", "string", true, "text", readText}                                 // string
	number    = kind{"number", "integer", false, "1", readNumber}                              // int64
	boolean   = kind{"true or false", "boolean", false, "true", readBoolean}                   // bool
	verbosity = kind{"number, true or false", "integer boolean", false, "1", readVerbosity}    // int64
	address   = kind{"address", "string", true, "dcrn1...", readAddress}                       // chain.Address
	rawTx     = kind{"transaction in hex", "string", true, exampleTx, readTx}                  // *chain.Tx
	rawTxs    = kind{"list of transactions in hex", "array", false, `["01..."]`, readTxs}      // []*chain.Tx
	coins     = kind{"amount in CRN", "number string", false, "0.5", readAmount}               // chain.Amount
	blockName = kind{"id or height of a block", "string integer", false, "100", readBlockName} // chain.Hash or int64
	words     = kind{"list of texts", "array", false, `["text"]`, readWords}                   // []string
	idList    = kind{"list of ids", "array", false, `["` + exampleID + `"]`, readIDs}          // []chain.Hash
	places    = kind{"list of outputs", "array", false, examplePlaces, readPlaces}             // []chain.OutPoint
	thing     = kind{"id of a transaction or block", "string", true, exampleID, readID}        // chain.Hash
	nodeOrDNS = kind{"text, true or false", "string boolean", true, "", readNodeOrDNS}         // string or bool
)

const examplePlaces = `[{"txid": "` + exampleID + `", "vout": 0}]`

func wrongType(name string, raw json.RawMessage, want string) *Error {
	return Errorf(WrongType, "%s: JSON value of type %s is not of expected type %s", name, typeOf(raw), want)
}

func typeOf(raw json.RawMessage) string {
	switch raw[0] {
	case '"':
		return "string"
	case '{':
		return "object"
	case '[':
		return "array"
	case 't', 'f':
		return "bool"
	case 'n':
		return "null"
	}
	return "number"
}

func readText(_ *chain.Params, name string, raw json.RawMessage) (any, error) {
	var s string
	if json.Unmarshal(raw, &s) != nil || typeOf(raw) != "string" {
		return nil, wrongType(name, raw, "string")
	}
	return s, nil
}

func readID(_ *chain.Params, name string, raw json.RawMessage) (any, error) {
	v, err := readText(nil, name, raw)
	if err != nil {
		return nil, err
	}
	s := v.(string)
	if len(s) != 64 {
		return nil, Errorf(InvalidParameter, "%s must be of length 64 (not %d, for '%s')", name, len(s), Clean(fmt.Sprintf("%.80s", s)))
	}
	h, err := chain.ParseHash(s)
	if err != nil {
		return nil, Errorf(InvalidParameter, "%s must be hexadecimal string (not '%s')", name, Clean(s))
	}
	return h, nil
}

func readNumber(_ *chain.Params, name string, raw json.RawMessage) (any, error) {
	if typeOf(raw) != "number" {
		return nil, wrongType(name, raw, "number")
	}
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil {
		return nil, Errorf(Misc, "%s: JSON integer out of range", name)
	}
	return n, nil
}

func readBoolean(_ *chain.Params, name string, raw json.RawMessage) (any, error) {
	if typeOf(raw) != "bool" {
		return nil, wrongType(name, raw, "bool")
	}
	return raw[0] == 't', nil
}

// readVerbosity also takes the booleans of old clients.
func readVerbosity(p *chain.Params, name string, raw json.RawMessage) (any, error) {
	if typeOf(raw) != "bool" {
		return readNumber(p, name, raw)
	}
	if raw[0] == 't' {
		return int64(1), nil
	}
	return int64(0), nil
}

func readAddress(p *chain.Params, name string, raw json.RawMessage) (any, error) {
	v, err := readText(p, name, raw)
	if err != nil {
		return nil, err
	}
	a, err := p.ParseAddress(v.(string))
	if err != nil {
		return nil, Errorf(NotFound, "Invalid address: %v", err)
	}
	return a, nil
}

func readTx(_ *chain.Params, name string, raw json.RawMessage) (any, error) {
	v, err := readText(nil, name, raw)
	if err != nil {
		return nil, err
	}
	b, err := hex.DecodeString(v.(string))
	if err != nil {
		return nil, Errorf(Decoding, "TX decode failed: %v", err)
	}
	tx, err := chain.DecodeTx(b)
	if err != nil {
		return nil, Errorf(Decoding, "TX decode failed: %v", err)
	}
	return tx, nil
}

// maxTry is the most transactions that testmempoolaccept takes, as in Bitcoin
// Core.
const maxTry = 25

func readTxs(p *chain.Params, name string, raw json.RawMessage) (any, error) {
	var list []json.RawMessage
	if typeOf(raw) != "array" || json.Unmarshal(raw, &list) != nil {
		return nil, wrongType(name, raw, "array")
	}
	if len(list) == 0 || len(list) > maxTry {
		return nil, Errorf(InvalidParameter, "Array must contain between 1 and %d transactions.", maxTry)
	}
	txs := make([]*chain.Tx, len(list))
	for i := range list {
		tx, err := readTx(p, name, list[i])
		if err != nil {
			return nil, err
		}
		txs[i] = tx.(*chain.Tx)
	}
	return txs, nil
}

func readAmount(_ *chain.Params, name string, raw json.RawMessage) (any, error) {
	if t := typeOf(raw); t != "number" && t != "string" {
		return nil, Errorf(WrongType, "%s: Amount is not a number or string", name)
	}
	var a Amount
	if err := a.UnmarshalJSON(raw); err != nil {
		return nil, Errorf(WrongType, "%s: Invalid amount: %v", name, err)
	}
	return chain.Amount(a), nil
}

// readBlockName also reads a height.
func readBlockName(p *chain.Params, name string, raw json.RawMessage) (any, error) {
	if typeOf(raw) == "number" {
		return readNumber(p, name, raw)
	}
	return readID(p, name, raw)
}

func readWords(_ *chain.Params, name string, raw json.RawMessage) (any, error) {
	var list []string
	if typeOf(raw) != "array" || json.Unmarshal(raw, &list) != nil {
		return nil, wrongType(name, raw, "array of strings")
	}
	return list, nil
}

func readPlaces(p *chain.Params, name string, raw json.RawMessage) (any, error) {
	var list []struct {
		Tx    json.RawMessage `json:"txid"`
		Index *uint32         `json:"vout"`
	}
	if typeOf(raw) != "array" || json.Unmarshal(raw, &list) != nil {
		return nil, wrongType(name, raw, "array of outputs")
	}
	if len(list) == 0 {
		return nil, Errorf(InvalidParameter, "Invalid parameter, outputs are missing")
	}
	points := make([]chain.OutPoint, len(list))
	for i, o := range list {
		if absent(o.Tx) || o.Index == nil {
			return nil, Errorf(InvalidParameter, "%s: each needs a txid and a vout", name)
		}
		id, err := readID(p, "txid", o.Tx)
		if err != nil {
			return nil, err
		}
		points[i] = chain.OutPoint{Tx: id.(chain.Hash), Index: *o.Index}
	}
	return points, nil
}

func readIDs(p *chain.Params, name string, raw json.RawMessage) (any, error) {
	var list []json.RawMessage
	if typeOf(raw) != "array" || json.Unmarshal(raw, &list) != nil {
		return nil, wrongType(name, raw, "array")
	}
	found := make([]chain.Hash, len(list))
	for i := range list {
		id, err := readID(p, name, list[i])
		if err != nil {
			return nil, err
		}
		found[i] = id.(chain.Hash)
	}
	return found, nil
}

// readNodeOrDNS also reads a boolean, and on a command line the words of one.
func readNodeOrDNS(p *chain.Params, name string, raw json.RawMessage) (any, error) {
	switch string(raw) {
	case "true", `"true"`:
		return true, nil
	case "false", `"false"`:
		return false, nil
	}
	return readText(p, name, raw)
}
