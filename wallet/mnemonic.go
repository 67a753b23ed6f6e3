package wallet

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/sha512"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// The English word list of BIP39, bip-0039/english.txt: 2048 words in
// alphabetical order, each told apart by its first four letters.
//
//go:embed english.txt
var english string

var words = strings.Fields(english)

const (
	wordBits   = 11 // 2048 words
	newEntropy = 16 // bytes: twelve words
	seedRounds = 2048
	seedSize   = 64 // bytes
)

// ErrMnemonic is wrapped by every error that says what is wrong with a
// mnemonic that a person typed.
var ErrMnemonic = errors.New("not a BIP39 mnemonic")

// NewMnemonic draws 128 bits from random and returns the twelve English words
// that stand for them (BIP39).
func NewMnemonic(random io.Reader) (string, error) {
	entropy := make([]byte, newEntropy)
	if _, err := io.ReadFull(random, entropy); err != nil {
		return "", fmt.Errorf("draw a mnemonic: %w", err)
	}
	return Mnemonic(entropy)
}

// Mnemonic returns the English words that stand for 16, 20, 24, 28 or 32 bytes
// of entropy: three words for every four bytes (BIP39, Generating the mnemonic).
func Mnemonic(entropy []byte) (string, error) {
	if len(entropy) < 16 || len(entropy) > 32 || len(entropy)%4 != 0 {
		return "", fmt.Errorf("%d bytes of entropy: a mnemonic holds 16, 20, 24, 28 or 32", len(entropy))
	}
	sum := sha256.Sum256(entropy)
	bits := append(slices.Clone(entropy), sum[0])
	phrase := make([]string, len(entropy)/4*3)
	for i := range phrase {
		phrase[i] = words[wordAt(bits, i)]
	}
	return strings.Join(phrase, " "), nil
}

// Entropy returns the bytes that an English mnemonic stands for. Case and
// spacing do not matter. Every error wraps ErrMnemonic and names the word at
// fault where one word is: unknown word, wrong count, or a checksum that does
// not fit (BIP39).
func Entropy(mnemonic string) ([]byte, error) {
	phrase := strings.Fields(normal(mnemonic))
	if n := len(phrase); n < 12 || n > 24 || n%3 != 0 {
		return nil, fmt.Errorf("%w: it has %s; write down 12, 15, 18, 21 or 24", ErrMnemonic, count(n))
	}
	bits := make([]byte, len(phrase)/3*4+1)
	for i, word := range phrase {
		index, found := slices.BinarySearch(words, word)
		if !found {
			return nil, fmt.Errorf("%w: word %d, %q, is not in the English list%s", ErrMnemonic, i+1, word, suggestion(word))
		}
		putWord(bits, i, index)
	}
	entropy := bits[:len(bits)-1]
	sum := sha256.Sum256(entropy)
	unused := 8 - len(entropy)/4
	if sum[0]>>unused != bits[len(entropy)]>>unused {
		return nil, fmt.Errorf("%w: every word is known but the checksum does not fit; look for a swapped or mistaken word", ErrMnemonic)
	}
	return entropy, nil
}

// Seed returns the 64 bytes from which BIP32 makes the master key: 2048 rounds
// of PBKDF2-HMAC-SHA512 over the words, salted with an optional extra
// passphrase of BIP39, which has nothing to do with the passphrase of a wallet
// file. Cairn's own wallets leave it empty.
func Seed(mnemonic, extra string) ([]byte, error) {
	if _, err := Entropy(mnemonic); err != nil {
		return nil, err
	}
	phrase := strings.Join(strings.Fields(normal(mnemonic)), " ")
	salt := "mnemonic" + norm.NFKD.String(extra)
	return pbkdf2.Key(sha512.New, phrase, []byte(salt), seedRounds, seedSize)
}

func normal(mnemonic string) string { return strings.ToLower(norm.NFKD.String(mnemonic)) }

// wordAt reads the i-th group of eleven bits, the most significant bit first.
func wordAt(bits []byte, i int) int {
	index := 0
	for bit := i * wordBits; bit < (i+1)*wordBits; bit++ {
		index = index<<1 | int(bits[bit/8]>>(7-bit%8)&1)
	}
	return index
}

func putWord(bits []byte, i, index int) {
	for n := range wordBits {
		bit := i*wordBits + n
		bits[bit/8] |= byte(index>>(wordBits-1-n)&1) << (7 - bit%8)
	}
}

func count(n int) string {
	if n == 1 {
		return "1 word"
	}
	return fmt.Sprintf("%d words", n)
}

// suggestion helps with a slip of the pen: four letters name a word.
func suggestion(word string) string {
	const telling = 4
	for n := min(telling, len(word)); n >= 3; n-- {
		i, _ := slices.BinarySearch(words, word[:n])
		if i < len(words) && strings.HasPrefix(words[i], word[:n]) {
			return fmt.Sprintf("; did you mean %q?", words[i])
		}
	}
	return ""
}
