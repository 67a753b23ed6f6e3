package rpc

import (
	"bytes"
	"encoding/json"
)

// Limits of what one request may hold.
const (
	MaxBody  = 4 << 20  // bytes of a request
	MaxDepth = 32       // of nested arrays and objects in it
	MaxBatch = 1000     // calls in one request
	maxReply = 64 << 20 // bytes of a batch's answers; later calls of it are refused
)

// request is one call as it came.
type request struct {
	Version json.RawMessage `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Method  json.RawMessage `json:"method"`
	Params  json.RawMessage `json:"params"`
}

// reply is an answer of JSON-RPC 1.0 and 1.1: result and error are both there,
// one of them null.
type reply struct {
	Result any             `json:"result"`
	Error  *Error          `json:"error"`
	ID     json.RawMessage `json:"id"`
}

// reply2 is an answer of JSON-RPC 2.0: either result or error.
type reply2 struct {
	Version string          `json:"jsonrpc"`
	Result  any             `json:"result,omitempty"`
	Error   *Error          `json:"error,omitempty"`
	ID      json.RawMessage `json:"id"`
}

// message is a decoded call.
type message struct {
	id     json.RawMessage // nil if there was none
	two    bool            // speaks JSON-RPC 2.0
	silent bool            // wants no answer (JSON-RPC 2.0, section 4.1)
	method string
	params json.RawMessage
}

// parse reads one call. On an error the message holds what could be read, so that
// the answer has its id and shape.
func parse(raw json.RawMessage) (m message, err error) {
	var q request
	if trimmed := bytes.TrimLeft(raw, " \t\r\n"); len(trimmed) == 0 || trimmed[0] != '{' {
		return m, Errorf(InvalidRequest, "Invalid Request object")
	}
	if err := json.Unmarshal(raw, &q); err != nil {
		return m, Errorf(ParseError, "Parse error")
	}
	m.id, m.params = q.ID, q.Params
	if m.two, err = version(q.Version); err != nil {
		return m, err
	}
	if q.Method == nil {
		return m, Errorf(InvalidRequest, "Missing method")
	}
	if json.Unmarshal(q.Method, &m.method) != nil || q.Method[0] != '"' {
		return m, Errorf(InvalidRequest, "Method must be a string")
	}
	m.silent = m.two && m.id == nil
	return m, nil
}

// version tells whether a call speaks 2.0. Most clients of 1.0 say nothing.
func version(raw json.RawMessage) (two bool, err error) {
	if absent(raw) {
		return false, nil
	}
	var v string
	if json.Unmarshal(raw, &v) != nil {
		return false, Errorf(InvalidRequest, "jsonrpc field must be a string")
	}
	switch v {
	case "1.0", "1.1":
		return false, nil
	case "2.0":
		return true, nil
	}
	return false, Errorf(InvalidRequest, "JSON-RPC version not supported")
}

func absent(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

// encode writes the answer to a call in the shape that it speaks.
func encode(m message, result json.RawMessage, failure *Error) []byte {
	id := m.id
	if id == nil {
		id = json.RawMessage("null")
	}
	var out any
	switch {
	case m.two && failure == nil:
		out = reply2{Version: "2.0", Result: result, ID: id}
	case m.two:
		out = reply2{Version: "2.0", Error: failure, ID: id}
	case failure == nil:
		out = reply{Result: result, ID: id}
	default:
		out = reply{Error: failure, ID: id}
	}
	b, err := json.Marshal(out)
	if err != nil {
		panic(err) // its parts are JSON already
	}
	return b
}

// shallow tells whether raw nests at most so deep. It looks at brackets outside of
// strings alone and allocates nothing, so it comes before any decoding.
func shallow(raw []byte, most int) bool {
	depth, quoted := 0, false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{':
			if depth++; depth > most {
				return false
			}
		case c == ']' || c == '}':
			depth--
		}
	}
	return true
}
