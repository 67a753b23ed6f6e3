package stratum

import (
	"encoding/json"
	"fmt"
)

const (
	maxLine = 4 << 10 // bytes of one line of a miner
	maxID   = 64      // bytes of a message's id
	maxName = 128     // bytes of a login name
)

// message is one line of a miner.
type message struct {
	ID     json.RawMessage   `json:"id"`
	Method string            `json:"method"`
	Params []json.RawMessage `json:"params"`
}

// decode reads one line. Who sends what cannot be read is no miner.
func decode(line []byte) (m message, err error) {
	if err := json.Unmarshal(line, &m); err != nil {
		return m, err
	}
	if len(m.ID) > maxID {
		return m, fmt.Errorf("an id of %d bytes", len(m.ID))
	}
	return m, nil
}

// text is a parameter that is a string; absent ones and others are "".
func (m *message) text(i int) (s string) {
	if i < len(m.Params) && json.Unmarshal(m.Params[i], &s) != nil {
		return ""
	}
	return s
}

// reply is what a message is answered with.
type reply struct {
	ID     json.RawMessage `json:"id"`
	Result any             `json:"result"`
	Error  *refusal        `json:"error"`
}

// notice is what a miner is told without having asked.
type notice struct {
	ID     *int   `json:"id"`
	Method string `json:"method"`
	Params []any  `json:"params"`
}

// refusal is Stratum's error: code, reason, and a traceback that nobody sends.
type refusal struct {
	code   int
	reason string
}

// The refusals that miners know by code and by word.
var (
	jobNotFound    = &refusal{21, "Job not found"}
	duplicateShare = &refusal{22, "Duplicate share"}
	lowDifficulty  = &refusal{23, "Low difficulty share"}
	unauthorized   = &refusal{24, "Unauthorized worker"}
	notSubscribed  = &refusal{25, "Not subscribed"}
)

// other is a refusal that has no code of its own.
func other(format string, args ...any) *refusal {
	return &refusal{20, fmt.Sprintf(format, args...)}
}

// MarshalJSON writes [code, "reason", null].
func (r *refusal) MarshalJSON() ([]byte, error) {
	return json.Marshal([]any{r.code, r.reason, nil})
}

// encode writes one line.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // its parts are ours, or JSON already
	}
	return append(b, '\n')
}
