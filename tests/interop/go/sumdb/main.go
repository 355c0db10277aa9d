// Command sumdb lets golang.org/x/mod/sumdb answer the tests' questions: a JSON object a line on
// stdin, one a line back on stdout. Bytes and hashes are base64.
package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// A question: what to do, and those of the other fields that it takes.
type question struct {
	Do      string
	Entries [][]byte
	Folder  string
	Size    int64
	Root    tlog.Hash
	Indexes []int64
	Olds    []int64
	Records []record
	Trees   []tree
	Note    []byte
	Text    string
	Name    string
	Vkeys   []string
	Skeys   []string
}

// A record is an inclusion proof: the leaf's hash, its index and the path.
type record struct {
	Index int64
	Leaf  tlog.Hash
	Path  tlog.RecordProof
}

// A tree is a consistency proof from an older tree.
type tree struct {
	Old  int64
	Root tlog.Hash
	Path tlog.TreeProof
}

// An answer has the fields that the question asks for; Error is empty if there is one.
type answer struct {
	Error   string        `json:",omitempty"`
	Root    any           `json:",omitempty"`
	Records [][]tlog.Hash `json:",omitempty"`
	Trees   [][]tlog.Hash `json:",omitempty"`
	Held    []bool        `json:",omitempty"`
	Text    string        `json:",omitempty"`
	Names   []string      `json:",omitempty"`
	Note    []byte        `json:",omitempty"`
	Skey    string        `json:",omitempty"`
	Vkey    string        `json:",omitempty"`
}

// memory holds the stored hashes of a log that Go built from the entries alone.
type memory []tlog.Hash

func (m memory) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		if index >= int64(len(m)) {
			return nil, fmt.Errorf("no hash %d", index)
		}
		hashes[i] = m[index]
	}
	return hashes, nil
}

// place reads tiles where c2sp.org/tlog-tiles lays them, as tlog does but for the height: in a folder
// or below an address.
type place string

func (p place) Height() int { return 8 }

func (p place) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	contents := make([][]byte, len(tiles))
	for i, tile := range tiles {
		content, err := p.read(strings.Replace(tile.Path(), "tile/8/", "tile/", 1))
		if err != nil {
			return nil, err
		}
		contents[i] = content
	}
	return contents, nil
}

func (p place) read(path string) ([]byte, error) {
	if !strings.HasPrefix(string(p), "http://") {
		return os.ReadFile(filepath.Join(string(p), filepath.FromSlash(path)))
	}
	answer, err := http.Get(string(p) + "/" + path)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", path, answer.Status)
	}
	return io.ReadAll(answer.Body)
}

func (p place) SaveTiles([]tlog.Tile, [][]byte) {}

// log built from entries, kept between questions.
var built memory

func build(entries [][]byte) error {
	built = nil
	for n, entry := range entries {
		hashes, err := tlog.StoredHashes(int64(n), entry, built)
		if err != nil {
			return err
		}
		built = append(built, hashes...)
	}
	return nil
}

// prove answers the root at q.Size and the proofs asked for, all through r.
func prove(q question, r tlog.HashReader) (answer, error) {
	root, err := tlog.TreeHash(q.Size, r)
	if err != nil {
		return answer{}, err
	}
	a := answer{Root: root}
	for _, index := range q.Indexes {
		proof, err := tlog.ProveRecord(q.Size, index, r)
		if err != nil {
			return answer{}, err
		}
		a.Records = append(a.Records, append([]tlog.Hash{}, proof...))
	}
	for _, old := range q.Olds {
		proof, err := tlog.ProveTree(q.Size, old, r)
		if err != nil {
			return answer{}, err
		}
		a.Trees = append(a.Trees, append([]tlog.Hash{}, proof...))
	}
	return a, nil
}

// check answers for each given proof whether it holds of the tree of q.Size and q.Root.
func check(q question) answer {
	var a answer
	for _, p := range q.Records {
		a.Held = append(a.Held, tlog.CheckRecord(p.Path, q.Size, q.Root, p.Index, p.Leaf) == nil)
	}
	for _, p := range q.Trees {
		a.Held = append(a.Held, tlog.CheckTree(p.Path, q.Size, q.Root, p.Old, p.Root) == nil)
	}
	return a
}

func open(q question) (answer, error) {
	var known []note.Verifier
	for _, vkey := range q.Vkeys {
		verifier, err := note.NewVerifier(vkey)
		if err != nil {
			return answer{}, err
		}
		known = append(known, verifier)
	}
	opened, err := note.Open(q.Note, note.VerifierList(known...))
	if err != nil {
		return answer{}, err
	}
	a := answer{Text: opened.Text}
	for _, signature := range opened.Sigs {
		a.Names = append(a.Names, fmt.Sprintf("%s+%08x", signature.Name, signature.Hash))
	}
	return a, nil
}

func sign(q question) (answer, error) {
	var signers []note.Signer
	for _, skey := range q.Skeys {
		signer, err := note.NewSigner(skey)
		if err != nil {
			return answer{}, err
		}
		signers = append(signers, signer)
	}
	signed, err := note.Sign(&note.Note{Text: q.Text}, signers...)
	return answer{Note: signed}, err
}

func reply(q question) (answer, error) {
	switch q.Do {
	case "build":
		return answer{}, build(q.Entries)
	case "prove from entries":
		return prove(q, built)
	case "prove from tiles":
		head := tlog.Tree{N: q.Size, Hash: q.Root}
		return prove(q, tlog.TileHashReader(head, place(q.Folder)))
	case "check":
		return check(q), nil
	case "open":
		return open(q)
	case "key":
		skey, vkey, err := note.GenerateKey(rand.Reader, q.Name)
		return answer{Skey: skey, Vkey: vkey}, err
	case "sign":
		return sign(q)
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
