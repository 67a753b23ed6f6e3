package rpc

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// cookieUser is the name under which the cookie's secret is the password, as in
// Bitcoin Core.
const cookieUser = "__cookie__"

// cookie is a password that only who may read our file can know.
type cookie struct {
	path string
	text string // "__cookie__:<hex>"
}

// bake writes a new cookie. It replaces an old one whole: whoever reads the file
// meanwhile finds one or the other, and nobody else may read either.
func bake(path string) (*cookie, error) {
	var secret [32]byte
	rand.Read(secret[:])
	c := &cookie{path: path, text: cookieUser + ":" + hex.EncodeToString(secret[:])}
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // made with 0600
	if err != nil {
		return nil, fmt.Errorf("write the cookie: %w", err)
	}
	_, err = tmp.WriteString(c.text)
	err = errors.Join(err, tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("write the cookie: %w", err), os.Remove(tmp.Name()))
	}
	return c, nil
}

// remove deletes the file, but not one that another node has written since.
func (c *cookie) remove() error {
	found, err := os.ReadFile(c.path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && string(found) != c.text {
		return nil
	}
	if err != nil {
		return err
	}
	return os.Remove(c.path)
}

// keys are the digests of what callers may present: digests have one length, so
// that comparing them takes one time.
type keys [][sha256.Size]byte

func key(user, password string) [sha256.Size]byte {
	return sha256.Sum256([]byte(user + ":" + password))
}

func (k keys) open(user, password string) bool {
	given, fits := key(user, password), 0
	for i := range k {
		fits |= subtle.ConstantTimeCompare(k[i][:], given[:])
	}
	return fits == 1
}

// Auth is how a client proves who it is.
type Auth struct {
	path           string
	user, password string
}

// Cookie reads user and password from a node's .cookie file, for each call anew: a
// node that starts again bakes a new one.
func Cookie(path string) Auth { return Auth{path: path} }

// Password gives user and password as they are.
func Password(user, password string) Auth { return Auth{user: user, password: password} }

func (a Auth) read() (user, password string, err error) {
	if a.path == "" {
		return a.user, a.password, nil
	}
	raw, err := os.ReadFile(a.path)
	if err != nil {
		return "", "", err
	}
	user, password, ok := strings.Cut(strings.TrimSpace(string(raw)), ":")
	if !ok {
		return "", "", fmt.Errorf("%s is no cookie: it has no colon", a.path)
	}
	return user, password, nil
}
