package wallet

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
	"filippo.io/age/armor"
)

// seal encrypts text to a passphrase in age's armored format (C2SP age,
// scrypt), so that the age tool opens it too. workFactor is the binary
// logarithm of scrypt's cost; 0 takes age's own, about a second of work.
func seal(text, passphrase string, workFactor int) (string, error) {
	to, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return "", err
	}
	if workFactor > 0 {
		to.SetWorkFactor(workFactor)
	}
	var b bytes.Buffer
	armored := armor.NewWriter(&b)
	w, err := age.Encrypt(armored, to)
	if err != nil {
		return "", err
	}
	_, err = io.WriteString(w, text)
	if err := errors.Join(err, w.Close(), armored.Close()); err != nil {
		return "", err
	}
	return b.String(), nil
}

// unseal undoes seal. The error wraps ErrPassphrase or ErrDamaged.
func unseal(sealed, passphrase string) (string, error) {
	if passphrase == "" {
		return "", fmt.Errorf("%w: it is empty, and this wallet has one", ErrPassphrase)
	}
	from, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return "", err
	}
	r, err := age.Decrypt(armor.NewReader(strings.NewReader(sealed)), from)
	if errors.Is(err, age.ErrIncorrectIdentity) {
		return "", fmt.Errorf("%w: try again; if it is lost, `cairn wallet restore` makes a new wallet from your words", ErrPassphrase)
	}
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return string(text), nil
}
