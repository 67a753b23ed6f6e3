package conformance

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// btcctl of btcd, over every method that it knows.
func TestBtcctl(t *testing.T) {
	s := set(t)
	var known, strange []string
	for _, q := range s.questions() {
		answer, err := s.btcctl(q)
		what := "btcctl " + strings.Join(words(q), " ")
		switch {
		case strings.Contains(answer, "Unrecognized command") || strings.Contains(answer, "is not registered"):
			strange = append(strange, q.method)
		case err != nil:
			t.Errorf("%.200s: %v: %s", what, err, answer)
		case !strings.Contains(answer, q.says):
			t.Errorf("%.200s: %q is not in %s", what, q.says, answer)
		default:
			known = append(known, q.method)
			show(t, cut(what), answer)
		}
	}
	s.quit()
	fmt.Printf("btcctl: %d calls answered; it knows no %s\n", len(known), strings.Join(strange, ", "))
	if len(known) < 30 {
		t.Errorf("only %d calls were answered", len(known))
	}
}

func cut(s string) string {
	if len(s) > 160 {
		return s[:160] + "…"
	}
	return s
}

func words(q question) []string {
	list := []string{q.method}
	for _, a := range q.args {
		if text, ok := a.(string); ok {
			list = append(list, text)
			continue
		}
		b, _ := json.Marshal(a)
		list = append(list, string(b))
	}
	return list
}

// config is an empty file: without one, btcctl writes its own.
func (s *scene) config() string {
	path := filepath.Join(s.dir, "btcctl.conf")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		s.Fatal(err)
	}
	return path
}

func (s *scene) btcctl(q question) (string, error) {
	s.Helper()
	args := append([]string{"--configfile=" + s.config(), "--notls", "--rpcserver=" + s.addr, "--rpcuser=" + user, "--rpcpass=" + password}, words(q)...)
	c := exec.Command(program(s.T, "btcctl"), args...)
	c.Env = append(os.Environ(), "HOME="+s.dir)
	out, err := c.CombinedOutput()
	return string(out), err
}
