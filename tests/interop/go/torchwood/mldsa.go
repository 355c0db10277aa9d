package main

import (
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"filippo.io/mldsa"
	"filippo.io/torchwood"
)

// Type 0x06 of c2sp.org/tlog-cosignature, which this torchwood does not have: a second reading of
// the specification's message in a second language, signed and checked by filippo.io/mldsa.
const algMLDSA44 = 0x06

type mldsaVerifier struct {
	name string
	key  *mldsa.PublicKey
}

func newMLDSAVerifier(vkey string) (*mldsaVerifier, error) {
	name, rest, _ := strings.Cut(vkey, "+")
	_, key64, _ := strings.Cut(rest, "+")
	encoded, err := base64.StdEncoding.DecodeString(key64)
	if err != nil || len(encoded) == 0 || encoded[0] != algMLDSA44 {
		return nil, errors.New("not an ML-DSA-44 vkey")
	}
	key, err := mldsa.NewPublicKey(mldsa.MLDSA44(), encoded[1:])
	if err != nil {
		return nil, err
	}
	verifier := &mldsaVerifier{name, key}
	if verifier.vkey() != vkey {
		return nil, errors.New("vkey has another key ID")
	}
	return verifier, nil
}

func (v *mldsaVerifier) Name() string { return v.name }

func (v *mldsaVerifier) KeyHash() uint32 {
	sum := sha256.Sum256(append([]byte(v.name+"\n"), v.encoded()...))
	return binary.BigEndian.Uint32(sum[:])
}

func (v *mldsaVerifier) encoded() []byte {
	return append([]byte{algMLDSA44}, v.key.Bytes()...)
}

func (v *mldsaVerifier) vkey() string {
	key64 := base64.StdEncoding.EncodeToString(v.encoded())
	return fmt.Sprintf("%s+%08x+%s", v.name, v.KeyHash(), key64)
}

func (v *mldsaVerifier) Verify(text, signature []byte) bool {
	if len(signature) < 8 {
		return false
	}
	message, err := cosignedMessage(v.name, binary.BigEndian.Uint64(signature), text)
	return err == nil && mldsa.Verify(v.key, message, signature[8:], nil) == nil
}

type mldsaSigner struct {
	mldsaVerifier
	private *mldsa.PrivateKey
	time    uint64
}

func newMLDSASigner(name string, seed []byte, time uint64) (*mldsaSigner, error) {
	private, err := mldsa.NewPrivateKey(mldsa.MLDSA44(), seed)
	if err != nil {
		return nil, err
	}
	return &mldsaSigner{mldsaVerifier{name, private.PublicKey()}, private, time}, nil
}

func (s *mldsaSigner) Sign(text []byte) ([]byte, error) {
	message, err := cosignedMessage(s.name, s.time, text)
	if err != nil {
		return nil, err
	}
	signature, err := s.private.Sign(nil, message, crypto.Hash(0))
	return append(binary.BigEndian.AppendUint64(nil, s.time), signature...), err
}

// cosignedMessage is the specification's cosigned_message for a checkpoint.
func cosignedMessage(name string, time uint64, text []byte) ([]byte, error) {
	c, err := torchwood.ParseCheckpoint(string(text))
	if err != nil {
		return nil, err
	}
	message := []byte("subtree/v1\n\x00")
	message = append(message, byte(len(name)))
	message = append(message, name...)
	message = binary.BigEndian.AppendUint64(message, time)
	message = append(message, byte(len(c.Origin)))
	message = append(message, c.Origin...)
	message = binary.BigEndian.AppendUint64(message, 0)
	message = binary.BigEndian.AppendUint64(message, uint64(c.N))
	return append(message, c.Hash[:]...), nil
}
