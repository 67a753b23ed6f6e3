package stratum

import (
	"encoding/json"
	"testing"
)

// Whatever line comes, reading it does not panic, and what is read can be
// answered with one line of JSON.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		`{"id":4,"method":"mining.submit","params":["rig","1f","00000000","4966bc61","9962e301","00002000"]}`,
		`{"id":null,"params":null}`, `{"id":[[{"a":"\n"}]],"method":"\ud800","params":[{},"x"]}`, `[]`, `{"params":{}}`, "", `{"ID":1,"id":2}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		if len(line) > maxLine {
			t.Skip()
		}
		m, err := decode(line)
		if err != nil {
			return
		}
		for i := range len(m.Params) + 1 {
			_ = m.text(i)
			_, _ = readWord(m.text(i))
		}
		out := encode(reply{ID: m.ID, Result: true})
		var back reply
		if json.Unmarshal(out, &back) != nil || out[len(out)-1] != '\n' || len(out) > 6*maxID+100 {
			t.Fatalf("%q is answered with %q", line, out)
		}
		for _, b := range out[:len(out)-1] {
			if b == '\n' {
				t.Fatalf("%q is answered with two lines: %q", line, out)
			}
		}
	})
}
