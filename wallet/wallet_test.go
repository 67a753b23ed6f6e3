package wallet_test

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"filippo.io/age/armor"

	"cairn/chain"
	"cairn/wallet"
)

const passphrase = "correct horse"

// quick makes scrypt cheap; real wallets take age's own work factor.
var quick = wallet.Options{WorkFactor: 1}

func create(t testing.TB, network, mnemonic string) *wallet.Wallet {
	t.Helper()
	w, err := wallet.Create(filepath.Join(t.TempDir(), "new", "wallet.json"), network, mnemonic, passphrase, quick)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func write(t testing.TB, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func next(t testing.TB, w *wallet.Wallet, b wallet.Branch) chain.Address {
	t.Helper()
	a, err := w.NextAddress(b)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestWalletRoundTrip(t *testing.T) {
	w := create(t, "dev", "  "+strings.ToUpper(about))
	opened, err := wallet.Open(w.Path())
	if err != nil {
		t.Fatal(err)
	}
	if opened.Network() != "dev" || !opened.Sealed() || opened.Next(wallet.Receive) != 0 {
		t.Errorf("network %q, sealed %v, next %d", opened.Network(), opened.Sealed(), opened.Next(wallet.Receive))
	}
	if words, err := opened.Mnemonic(passphrase); err != nil || words != about {
		t.Errorf("%q, %v", words, err)
	}
	keys, err := opened.Unlock(passphrase)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := keys.Account().String(), derive(t, about, "dev").Account().String(); got != want {
		t.Errorf("account %s, want %s", got, want)
	}
	if got := opened.Account().String(); got != keys.Account().String() {
		t.Errorf("the file names account %s", got)
	}
}

// Nobody who reads the file without the passphrase learns a word of it.
func TestFileKeepsItsSecret(t *testing.T) {
	w := create(t, "dev", zoo)
	text := string(read(t, w.Path()))
	for _, secret := range []string{"zoo", "wrong", passphrase, "prv"} {
		if strings.Contains(text, secret) {
			t.Errorf("the file holds %q", secret)
		}
	}
	info, err := os.Stat(w.Path())
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o600 && runtime.GOOS != "windows" {
		t.Errorf("mode %o, want 600", mode)
	}
	left, err := os.ReadDir(filepath.Dir(w.Path()))
	if err != nil || len(left) != 1 {
		t.Errorf("%d files beside the wallet, %v", len(left)-1, err)
	}
}

func TestPassphrases(t *testing.T) {
	w := create(t, "dev", about)
	for _, wrong := range []string{"", "Correct horse", passphrase + " "} {
		if _, err := w.Unlock(wrong); !errors.Is(err, wallet.ErrPassphrase) {
			t.Errorf("passphrase %q: %v", wrong, err)
		}
	}
	path := filepath.Join(t.TempDir(), "wallet")
	if _, err := wallet.Create(path, "dev", about, "", quick); err == nil {
		t.Error("an empty passphrase is taken unasked")
	}
	open, err := wallet.Create(path, "dev", about, "", wallet.Options{NoPassphrase: true})
	if err != nil {
		t.Fatal(err)
	}
	if open.Sealed() || !strings.Contains(string(read(t, path)), `"sealed": "none"`) {
		t.Error("a wallet in clear is not marked as such")
	}
	if _, err := open.Unlock(""); err != nil {
		t.Error(err)
	}
}

func TestCreateRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "wallet")
	for name, try := range map[string]func() (*wallet.Wallet, error){
		"no network":  func() (*wallet.Wallet, error) { return wallet.Create(path, "", about, passphrase, quick) },
		"no mnemonic": func() (*wallet.Wallet, error) { return wallet.Create(path, "dev", "zoo", passphrase, quick) },
		"dear scrypt": func() (*wallet.Wallet, error) {
			return wallet.Create(path, "dev", about, passphrase, wallet.Options{WorkFactor: 23})
		},
	} {
		if _, err := try(); err == nil {
			t.Errorf("%s: made a wallet", name)
		}
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a refused wallet left a file: %v", err)
	}
}

// Whatever stands at the path stays as it is, byte for byte.
func TestNothingIsOverwritten(t *testing.T) {
	for name, text := range map[string]string{
		"a wallet": string(read(t, create(t, "dev", zoo).Path())), "a letter": "Dear Ann,", "nothing": "",
	} {
		path := filepath.Join(t.TempDir(), "wallet")
		write(t, path, []byte(text))
		if _, err := wallet.Create(path, "dev", about, passphrase, quick); !errors.Is(err, wallet.ErrExists) {
			t.Errorf("over %s: %v", name, err)
		}
		if got := string(read(t, path)); got != text {
			t.Errorf("%s became %q", name, got)
		}
	}
}

// Many programs make the same wallet at once: one does, the others are told.
func TestCreateRace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "wallet")
	const programs = 8
	results := make(chan error, programs)
	for range programs {
		go func() {
			words, err := wallet.NewMnemonic(rand.Reader)
			if err == nil {
				_, err = wallet.Create(path, "dev", words, passphrase, quick)
			}
			results <- err
		}()
	}
	made := 0
	for range programs {
		switch err := <-results; {
		case err == nil:
			made++
		case !errors.Is(err, wallet.ErrExists):
			t.Error(err)
		}
	}
	if made != 1 {
		t.Errorf("%d wallets were made at one path", made)
	}
}

// People's wallets cost an attacker at least 2¹⁸ rounds of scrypt a guess.
func TestDefaultWorkFactor(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a second of scrypt")
	}
	path := filepath.Join(t.TempDir(), "wallet")
	if _, err := wallet.Create(path, "dev", about, passphrase, wallet.Options{}); err != nil {
		t.Fatal(err)
	}
	var f struct{ Mnemonic string }
	if err := json.Unmarshal(read(t, path), &f); err != nil {
		t.Fatal(err)
	}
	header, err := io.ReadAll(io.LimitReader(armor.NewReader(strings.NewReader(f.Mnemonic)), 80))
	if err != nil {
		t.Fatal(err)
	}
	var salt string
	var factor int
	_, err = fmt.Sscanf(string(header), "age-encryption.org/v1\n-> scrypt %s %d\n", &salt, &factor)
	if err != nil || factor < 18 {
		t.Errorf("work factor %d, %v, in %q", factor, err, header)
	}
}

func TestOpenTellsWhatIsThere(t *testing.T) {
	good := string(read(t, create(t, "dev", about).Path()))
	for _, c := range []struct {
		name, text string
		want       error
		says       string
	}{
		{"text", "Dear Ann,", wallet.ErrForeign, "name another file"},
		{"other JSON", `{"crypto": {"cipher": "aes-128-ctr"}, "version": 3}`, wallet.ErrForeign, "name another file"},
		{"a JSON list", `[1, 2]`, wallet.ErrForeign, "name another file"},
		{"empty", "", wallet.ErrDamaged, "restore"},
		{"newer", strings.Replace(good, `"version": 1`, `"version": 2`, 1), wallet.ErrNewer, "update the program"},
		{"newer, of another shape", `{"format": "cairn-wallet", "version": 7, "next": []}`, wallet.ErrNewer, "update the program"},
		{"version 0", strings.Replace(good, `"version": 1`, `"version": 0`, 1), wallet.ErrDamaged, "version 0"},
		{"no network", strings.Replace(good, `"dev"`, `""`, 1), wallet.ErrDamaged, "network"},
		{"network changed", strings.Replace(good, `"dev"`, `"main"`, 1), wallet.ErrDamaged, "account key"},
		{"account mistyped", strings.Replace(good, "tpub", "tqub", 1), wallet.ErrDamaged, "account key"},
		{"no mnemonic", strings.Replace(good, `"mnemonic"`, `"memory"`, 1), wallet.ErrDamaged, "mnemonic"},
		{"unknown seal", strings.Replace(good, `"age"`, `"rot13"`, 1), wallet.ErrDamaged, "rot13"},
		{"counter too far", strings.Replace(good, `"receive": 0`, `"receive": 2147483647`, 1), wallet.ErrDamaged, "counter"},
		{"negative counter", strings.Replace(good, `"receive": 0`, `"receive": -1`, 1), wallet.ErrDamaged, "restore"},
		{"something behind", good + "}", wallet.ErrDamaged, "restore"},
		{"huge", good + strings.Repeat(" ", 1<<20), wallet.ErrForeign, "name another file"},
	} {
		path := filepath.Join(t.TempDir(), "wallet")
		write(t, path, []byte(c.text))
		_, err := wallet.Open(path)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want %v with %q and the path", c.name, err, c.want, c.says)
		}
		if got := string(read(t, path)); got != c.text {
			t.Errorf("%s: the file was changed", c.name)
		}
	}
	if _, err := wallet.Open(filepath.Join(t.TempDir(), "none")); !errors.Is(err, wallet.ErrMissing) {
		t.Errorf("no file: %v", err)
	}
	if _, err := wallet.Open(t.TempDir()); err == nil {
		t.Error("a folder opens")
	}
}

func TestTruncatedAtEveryLength(t *testing.T) {
	w := create(t, "dev", about)
	whole := read(t, w.Path())
	path := filepath.Join(t.TempDir(), "wallet")
	for n := range len(whole) - 1 { // the last byte is a line's end, and may go
		write(t, path, whole[:n])
		if _, err := wallet.Open(path); !errors.Is(err, wallet.ErrDamaged) {
			t.Fatalf("cut to %d of %d bytes: %v", n, len(whole), err)
		}
		if _, err := w.Address(wallet.Receive, 0); err != nil {
			t.Fatal(err)
		}
	}
	write(t, path, whole[:len(whole)-1])
	if _, err := wallet.Open(path); err != nil {
		t.Errorf("without its last line's end: %v", err)
	}
}

// A flipped bit anywhere is noticed at the latest when the wallet is unlocked,
// or does no harm: it never panics and never gives other keys.
func TestDamageNeverGivesOtherKeys(t *testing.T) {
	w := create(t, "dev", about)
	whole, want := read(t, w.Path()), w.Account().String()
	path := filepath.Join(t.TempDir(), "wallet")
	for i := range whole {
		bent := append([]byte(nil), whole...)
		bent[i] ^= 1
		write(t, path, bent)
		opened, err := wallet.Open(path)
		if err != nil {
			continue
		}
		keys, err := opened.Unlock(passphrase)
		switch {
		case err == nil && keys.Account().String() != want:
			t.Fatalf("byte %d bent: other keys", i)
		case err != nil && !errors.Is(err, wallet.ErrPassphrase) && !errors.Is(err, wallet.ErrDamaged):
			t.Fatalf("byte %d bent: %v", i, err)
		}
	}
}

// Words and account of two different wallets in one file: whoever mined to
// those addresses could never spend.
func TestUnlockRefusesAnotherAccount(t *testing.T) {
	w, other := create(t, "dev", about), create(t, "dev", zoo)
	text := strings.Replace(string(read(t, w.Path())), w.Account().String(), other.Account().String(), 1)
	write(t, w.Path(), []byte(text))
	mixed, err := wallet.Open(w.Path())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := mixed.Unlock(passphrase); !errors.Is(err, wallet.ErrDamaged) {
		t.Errorf("%v, want %v", err, wallet.ErrDamaged)
	}
}

func TestForRefusesAnotherNetwork(t *testing.T) {
	w := create(t, "dev", about)
	if err := w.For("dev"); err != nil {
		t.Error(err)
	}
	if err := w.For("test"); !errors.Is(err, wallet.ErrNetwork) || !strings.Contains(err.Error(), `"dev"`) {
		t.Errorf("%v", err)
	}
}

func TestAddressesAreHandedOutOnce(t *testing.T) {
	w := create(t, "dev", wallet.PrefundedMnemonic)
	for _, key := range wallet.Prefunded() {
		if got := next(t, w, wallet.Receive); got != key.Public() {
			t.Errorf("handed out %v, want %x", got, key.Public())
		}
	}
	change := next(t, w, wallet.Change)
	again, err := wallet.Open(w.Path())
	if err != nil {
		t.Fatal(err)
	}
	if again.Next(wallet.Receive) != 10 || again.Next(wallet.Change) != 1 {
		t.Errorf("counters %d and %d, want 10 and 1", again.Next(wallet.Receive), again.Next(wallet.Change))
	}
	list, err := again.Addresses(wallet.Gap)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[chain.Address]bool{}
	for _, a := range list {
		seen[a] = true
	}
	if len(seen) != 10+1+2*wallet.Gap || !seen[change] || !seen[wallet.Prefunded()[9].Public()] {
		t.Errorf("%d addresses, want %d that hold those handed out", len(seen), 10+1+2*wallet.Gap)
	}
}

// Two programs have the wallet open: the second goes on where the first stopped.
func TestCountersOfAnotherProgram(t *testing.T) {
	one := create(t, "dev", about)
	two, err := wallet.Open(one.Path())
	if err != nil {
		t.Fatal(err)
	}
	first := next(t, one, wallet.Receive)
	if second := next(t, two, wallet.Receive); second == first {
		t.Error("both handed out the same address")
	}
	if next(t, one, wallet.Receive); one.Next(wallet.Receive) != 3 {
		t.Errorf("counter %d, want 3", one.Next(wallet.Receive))
	}
}

// What took the wallet's place meanwhile is not written over.
func TestSaveLeavesOthersAlone(t *testing.T) {
	foreign := read(t, create(t, "dev", zoo).Path())
	for name, c := range map[string]struct {
		text []byte
		want error
	}{
		"a letter":       {[]byte("Dear Ann,"), wallet.ErrForeign},
		"another wallet": {foreign, wallet.ErrForeign},
		"half a wallet":  {foreign[:100], wallet.ErrDamaged},
	} {
		w := create(t, "dev", about)
		write(t, w.Path(), c.text)
		if _, err := w.NextAddress(wallet.Receive); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if got := read(t, w.Path()); string(got) != string(c.text) {
			t.Errorf("%s was changed", name)
		}
	}
}

func TestLinkStaysALink(t *testing.T) {
	w := create(t, "dev", about)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(w.Path(), link); err != nil {
		t.Skip("no symbolic links here:", err)
	}
	linked, err := wallet.Open(link)
	if err != nil {
		t.Fatal(err)
	}
	next(t, linked, wallet.Receive)
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link became a file: %v", err)
	}
	if reopened, err := wallet.Open(w.Path()); err != nil || reopened.Next(wallet.Receive) != 1 {
		t.Errorf("the counter went elsewhere: %v", err)
	}
}

func TestDiscover(t *testing.T) {
	w := create(t, "dev", about)
	used := map[chain.Address]bool{}
	for _, i := range []uint32{0, 7, 26, 45} { // 7 → 26 and 26 → 45 are 19 apart
		a, err := w.Address(wallet.Receive, i)
		if err != nil {
			t.Fatal(err)
		}
		used[a] = true
	}
	ask := func([]chain.Address) (map[chain.Address]bool, error) { return used, nil }
	if err := w.Discover(ask); err != nil {
		t.Fatal(err)
	}
	again, err := wallet.Open(w.Path())
	if err != nil {
		t.Fatal(err)
	}
	if again.Next(wallet.Receive) != 46 || again.Next(wallet.Change) != 0 {
		t.Errorf("counters %d and %d, want 46 and 0", again.Next(wallet.Receive), again.Next(wallet.Change))
	}
	lost := errors.New("node is gone")
	err = again.Discover(func([]chain.Address) (map[chain.Address]bool, error) { return nil, lost })
	if !errors.Is(err, lost) {
		t.Errorf("%v, want %v", err, lost)
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(read(f, create(f, "dev", about).Path()))
	f.Add([]byte("{}"))
	f.Add([]byte(""))
	path := filepath.Join(f.TempDir(), "wallet")
	f.Fuzz(func(t *testing.T, text []byte) {
		write(t, path, text)
		w, err := wallet.Open(path)
		if err != nil {
			known := false
			for _, kind := range []error{wallet.ErrForeign, wallet.ErrDamaged, wallet.ErrNewer} {
				known = known || errors.Is(err, kind)
			}
			if !known {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		for _, b := range []wallet.Branch{wallet.Receive, wallet.Change} {
			if _, err := w.Address(b, w.Next(b)); err != nil {
				t.Fatal(err)
			}
		}
	})
}
