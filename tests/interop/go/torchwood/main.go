// Command torchwood lets filippo.io/torchwood and filippo.io/mldsa answer the tests' questions: a
// JSON object a line on stdin, one a line back on stdout. Bytes and hashes are base64.
package main

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// A question: what to do, and those of the other fields that it takes.
type question struct {
	Do     string
	Folder string
	Size   int64
	Root   tlog.Hash
	Policy string
	Proof  []byte
	Entry  []byte
	Index  int64
	Path   tlog.RecordProof
	Note   []byte
	Text   string
	Name   string
	Seed   []byte
	Time   uint64
	Vkeys  []string
	Paths  []string
}

// An answer has the fields that the question asks for; Error is empty if there is one.
type answer struct {
	Error  string   `json:",omitempty"`
	Origin string   `json:",omitempty"`
	Size   int64    `json:",omitempty"`
	Root   []byte   `json:",omitempty"`
	Digest []byte   `json:",omitempty"`
	Count  int64    `json:",omitempty"`
	Proof  []byte   `json:",omitempty"`
	Note   []byte   `json:",omitempty"`
	Vkey   string   `json:",omitempty"`
	Names  []string `json:",omitempty"`
	Times  []int64  `json:",omitempty"`
	Paths  []string `json:",omitempty"`
}

// entries reads every entry of the log from its tiles, each checked against the root, and answers
// how many they are and the SHA-256 of them all, each behind its length.
func entries(q question) (answer, error) {
	tiles, err := torchwood.NewTileFS(os.DirFS(q.Folder))
	if err != nil {
		return answer{}, err
	}
	client, err := torchwood.NewClient(tiles)
	if err != nil {
		return answer{}, err
	}
	digest, count := sha256.New(), int64(0)
	head := tlog.Tree{N: q.Size, Hash: q.Root}
	for index, entry := range client.AllEntries(context.Background(), head, 0) {
		if index != count {
			return answer{}, fmt.Errorf("entry %d came after %d others", index, count)
		}
		digest.Write(binary.BigEndian.AppendUint32(nil, uint32(len(entry))))
		digest.Write(entry)
		count++
	}
	return answer{Count: count, Digest: digest.Sum(nil)}, client.Err()
}

// verify checks a proof file for an entry under a policy.
func verify(q question) (answer, error) {
	policy, err := torchwood.ParsePolicy([]byte(q.Policy))
	if err != nil {
		return answer{}, err
	}
	return answer{}, torchwood.VerifyProof(policy, tlog.RecordHash(q.Entry), q.Proof)
}

// checkpoint checks a signed checkpoint under a policy, and answers what it says.
func checkpoint(q question) (answer, error) {
	policy, err := torchwood.ParsePolicy([]byte(q.Policy))
	if err != nil {
		return answer{}, err
	}
	c, opened, err := torchwood.VerifyCheckpoint(q.Note, policy)
	if err != nil {
		return answer{}, err
	}
	a := answer{Origin: c.Origin, Size: c.N, Root: c.Hash[:]}
	for _, signature := range opened.Sigs {
		a.Names = append(a.Names, signature.Name)
	}
	return a, nil
}

// cosign adds an Ed25519 cosignature by the key of q.Seed to a note that the vkeys opened.
func cosign(q question) (answer, error) {
	signer, err := torchwood.NewCosignatureSigner(q.Name, ed25519.NewKeyFromSeed(q.Seed))
	if err != nil {
		return answer{}, err
	}
	return addLine(q, signer, signer.Verifier().String())
}

// cosignMLDSA adds an ML-DSA-44 cosignature with the time q.Time.
func cosignMLDSA(q question) (answer, error) {
	signer, err := newMLDSASigner(q.Name, q.Seed, q.Time)
	if err != nil {
		return answer{}, err
	}
	return addLine(q, signer, signer.vkey())
}

func addLine(q question, signer note.Signer, vkey string) (answer, error) {
	opened, err := open(q)
	if err != nil {
		return answer{}, err
	}
	signed, err := note.Sign(opened, signer)
	return answer{Note: signed, Vkey: vkey}, err
}

// open opens a note with Ed25519 (0x01), Ed25519 cosigner (0x04) and ML-DSA-44 (0x06) keys.
func open(q question) (*note.Note, error) {
	var known []note.Verifier
	for _, vkey := range q.Vkeys {
		verifier, err := verifierOf(vkey)
		if err != nil {
			return nil, err
		}
		known = append(known, verifier)
	}
	return note.Open(q.Note, note.VerifierList(known...))
}

func verifierOf(vkey string) (note.Verifier, error) {
	if verifier, err := note.NewVerifier(vkey); err == nil {
		return verifier, nil
	}
	if verifier, err := torchwood.NewCosignatureVerifier(vkey); err == nil {
		return verifier, nil
	}
	return newMLDSAVerifier(vkey)
}

func names(q question) (answer, error) {
	opened, err := open(q)
	if err != nil {
		return answer{}, err
	}
	var a answer
	for _, signature := range opened.Sigs {
		a.Names = append(a.Names, fmt.Sprintf("%s+%08x", signature.Name, signature.Hash))
		time, err := torchwood.CosignatureTimestamp(signature)
		if err != nil {
			time = -1
		}
		a.Times = append(a.Times, time)
	}
	return a, nil
}

// paths reads tile paths and writes them again; an empty string stands for one that it refuses.
func paths(q question) answer {
	var a answer
	for _, path := range q.Paths {
		tile, err := torchwood.ParseTilePath(path)
		if err != nil {
			a.Paths = append(a.Paths, "")
			continue
		}
		a.Paths = append(a.Paths, torchwood.TilePath(tile))
	}
	return a
}

func reply(q question) (answer, error) {
	switch q.Do {
	case "entries":
		return entries(q)
	case "verify":
		return verify(q)
	case "format":
		return answer{Proof: torchwood.FormatProof(q.Index, q.Path, q.Note)}, nil
	case "checkpoint":
		return checkpoint(q)
	case "cosign":
		return cosign(q)
	case "cosign ML-DSA-44":
		return cosignMLDSA(q)
	case "open":
		return names(q)
	case "paths":
		return paths(q), nil
	}
	return answer{}, fmt.Errorf("no such question: %q", q.Do)
}

func main() {
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var q question
		if err := in.Decode(&q); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			log.Fatal(err)
		}
		a, err := reply(q)
		if err != nil {
			a = answer{Error: err.Error()}
		}
		if err := out.Encode(a); err != nil {
			log.Fatal(err)
		}
	}
}
