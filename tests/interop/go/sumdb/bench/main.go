// Command bench times golang.org/x/mod/sumdb/tlog in memory, on a file of 64-byte entries named in
// a JSON object on stdin: build, root, proof. CPU seconds (of all threads) go to stdout.
package main

import (
	"encoding/hex"
	"encoding/json"
	"log"
	"os"
	"syscall"

	"golang.org/x/mod/sumdb/tlog"
)

type memory []tlog.Hash

func (m memory) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		hashes[i] = m[index]
	}
	return hashes, nil
}

func cpu() float64 {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		log.Fatal(err)
	}
	seconds := used.Utime.Sec + used.Stime.Sec
	return float64(seconds) + float64(used.Utime.Usec+used.Stime.Usec)/1e6
}

func main() {
	var question struct {
		File    string
		Indexes []int64
	}
	if err := json.NewDecoder(os.Stdin).Decode(&question); err != nil {
		log.Fatal(err)
	}
	content, err := os.ReadFile(question.File)
	if err != nil {
		log.Fatal(err)
	}
	size := int64(len(content) / 64)

	began := cpu()
	var m memory
	for n := int64(0); n < size; n++ {
		hashes, err := tlog.StoredHashes(n, content[64*n:64*n+64], m)
		if err != nil {
			log.Fatal(err)
		}
		m = append(m, hashes...)
	}
	root, err := tlog.TreeHash(size, m)
	if err != nil {
		log.Fatal(err)
	}
	build := cpu() - began

	began = cpu()
	for range make([]struct{}, 1000) {
		if root, err = tlog.TreeHash(size, m); err != nil {
			log.Fatal(err)
		}
	}
	rootSeconds := (cpu() - began) / 1000

	began = cpu()
	for _, index := range question.Indexes {
		if _, err := tlog.ProveRecord(size, index, m); err != nil {
			log.Fatal(err)
		}
	}
	proof := (cpu() - began) / float64(len(question.Indexes))

	began = cpu()
	for n := int64(0); n < 1000; n++ {
		hashes, err := tlog.StoredHashes(size+n, content[64*n:64*n+64], m)
		if err != nil {
			log.Fatal(err)
		}
		m = append(m, hashes...)
		if _, err := tlog.TreeHash(size+n+1, m); err != nil {
			log.Fatal(err)
		}
	}
	appendSeconds := (cpu() - began) / 1000

	answer := map[string]any{
		"build": build, "append": appendSeconds, "root": rootSeconds, "proof": proof,
		"Root": hex.EncodeToString(root[:]),
	}
	if err := json.NewEncoder(os.Stdout).Encode(answer); err != nil {
		log.Fatal(err)
	}
}
