// An outsider with nothing of ours: Go's sumdb packages (golang.org/x/mod/sumdb: note, tlog), as they verify the Go
// checksum database, verify a Maschinenraum audit log over HTTP or from an exported directory: checkpoints, every entry,
// every tile, inclusion and consistency proofs. Then they are given tampered ones, each of which they must reject.
//
//	go run . BASE VKEY OLD_CHECKPOINT
//
// BASE is a URL up to and including /v1/audit (a key in AUDIT_KEY) or an exported directory. Prints one line of JSON.
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type report struct {
	Origin      string `json:"origin"`
	Size        int64  `json:"size"`
	Old         int64  `json:"old"`
	Entries     int64  `json:"entries"`
	Tiles       int    `json:"tiles"`
	Inclusion   int    `json:"inclusion"`
	Consistency int    `json:"consistency"`
	Tampered    int    `json:"tampered"`
	Rejected    int    `json:"rejected"`
}

type outsider struct {
	base     string
	verifier note.Verifier
	tiles    map[string]bool
}

func (o *outsider) read(path string) ([]byte, error) {
	if !strings.HasPrefix(o.base, "http") {
		return os.ReadFile(filepath.Join(o.base, path))
	}
	request, err := http.NewRequest("GET", o.base+"/"+path, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+os.Getenv("AUDIT_KEY"))
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != 200 {
		err = fmt.Errorf("%s: %s: %s", path, answer.Status, body)
	}
	return body, err
}

// Height, ReadTiles and SaveTiles make it a tlog.TileReader. The C2SP path has no height in it.
func (o *outsider) Height() int { return 8 }

func (o *outsider) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		data, err := o.read(path)
		if err != nil {
			return nil, err
		}
		o.tiles[path] = true
		all = append(all, data)
	}
	return all, nil
}

func (o *outsider) SaveTiles([]tlog.Tile, [][]byte) {}

// checkpoint verifies a signed note and reads it as a tree's head.
func (o *outsider) checkpoint(signed []byte) (tlog.Tree, error) {
	opened, err := note.Open(signed, note.VerifierList(o.verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) < 4 || lines[0] != o.verifier.Name() {
		return tlog.Tree{}, errors.New("no checkpoint of this log")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	root, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: root}, err
}

func hashes(lines []string) ([]tlog.Hash, error) {
	var all []tlog.Hash
	for _, line := range lines {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return nil, err
		}
		all = append(all, hash)
	}
	return all, nil
}

// inclusion checks a .tlog-proof text for an entry.
func (o *outsider) inclusion(proof []byte, entry []byte) error {
	head, checkpoint, found := bytes.Cut(proof, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	if !found || len(lines) < 2 || lines[0] != "c2sp.org/tlog-proof@v1" {
		return errors.New("no proof")
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[1], "index "), 10, 64)
	if err != nil {
		return err
	}
	path, err := hashes(lines[2:])
	if err != nil {
		return err
	}
	tree, err := o.checkpoint(checkpoint)
	if err != nil {
		return err
	}
	return tlog.CheckRecord(tlog.RecordProof(path), tree.N, tree.Hash, index, tlog.RecordHash(entry))
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 4 {
		log.Fatal("BASE VKEY OLD_CHECKPOINT are expected")
	}
	verifier, err := note.NewVerifier(os.Args[2])
	must(err)
	o := &outsider{base: strings.TrimSuffix(os.Args[1], "/"), verifier: verifier, tiles: map[string]bool{}}
	var r report
	signed, err := o.read("checkpoint")
	must(err)
	tree, err := o.checkpoint(signed)
	must(err)
	oldSigned, err := os.ReadFile(os.Args[3])
	must(err)
	old, err := o.checkpoint(oldSigned)
	must(err)
	r.Origin, r.Size, r.Old = verifier.Name(), tree.N, old.N

	// Every entry, from the bundles, held against the tiles, which Go's reader itself holds against the checkpoint.
	reader := tlog.TileHashReader(tree, o)
	entries := o.entries(tree.N)
	r.Entries = int64(len(entries))
	for n, entry := range entries {
		stored, err := reader.ReadHashes([]int64{tlog.StoredHashIndex(0, int64(n))})
		must(err)
		if stored[0] != tlog.RecordHash(entry) {
			log.Fatalf("entry %d is not what the tiles say", n)
		}
	}
	r.Tiles = len(o.tiles)

	// Proofs: those that the house gives out, where there is a house; else those that Go makes from the tiles.
	var proofs [][]byte
	var indexes []int64
	for n := int64(0); n < tree.N; n += 1 + tree.N/200 {
		var proof []byte
		if strings.HasPrefix(o.base, "http") {
			proof, err = o.read(fmt.Sprintf("proof/%d", n))
			must(err)
		} else {
			made, err := tlog.ProveRecord(tree.N, n, reader)
			must(err)
			proof = format(n, made, signed)
		}
		must(o.inclusion(proof, entries[n]))
		proofs, indexes = append(proofs, proof), append(indexes, n)
		r.Inclusion++
	}
	made, err := tlog.ProveTree(tree.N, old.N, reader)
	must(err)
	must(tlog.CheckTree(made, tree.N, tree.Hash, old.N, old.Hash))
	r.Consistency++
	consistency := []tlog.Hash(made)
	if strings.HasPrefix(o.base, "http") {
		body, err := o.read(fmt.Sprintf("consistency?old=%d", old.N))
		must(err)
		head, now, _ := strings.Cut(string(body), "\n\n")
		consistency, err = hashes(strings.Split(head, "\n")[1:])
		must(err)
		tree, err = o.checkpoint([]byte(now))
		must(err)
		signed = []byte(now)
		must(tlog.CheckTree(tlog.TreeProof(consistency), tree.N, tree.Hash, old.N, old.Hash))
		r.Consistency++
	}

	// And now what nobody may accept.
	reject := func(what string, err error) {
		r.Tampered++
		if err != nil {
			r.Rejected++
			return
		}
		log.Printf("ACCEPTED although tampered: %s", what)
	}
	for at, proof := range proofs {
		n := indexes[at]
		forged := append([]byte("x"), entries[n]...)
		reject("another entry", o.inclusion(proof, forged))
		other := bytes.Replace(proof, []byte(fmt.Sprintf("index %d\n", n)), []byte(fmt.Sprintf("index %d\n", (n+1)%tree.N)), 1)
		reject("another index", o.inclusion(other, entries[n]))
		lines := strings.Split(string(proof), "\n")
		for line := 2; lines[line] != ""; line++ {
			changed := append([]string{}, lines...)
			changed[line] = flip(lines[line])
			reject("a changed hash", o.inclusion([]byte(strings.Join(changed, "\n")), entries[n]))
		}
	}
	for at := range consistency {
		changed := append([]tlog.Hash{}, consistency...)
		changed[at][0] ^= 1
		reject("a changed consistency proof", tlog.CheckTree(changed, tree.N, tree.Hash, old.N, old.Hash))
	}
	reject("another old root", tlog.CheckTree(consistency, tree.N, tree.Hash, old.N, flipped(old.Hash)))
	reject("another new root", tlog.CheckTree(consistency, tree.N, flipped(tree.Hash), old.N, old.Hash))
	size := []byte(fmt.Sprintf("\n%d\n", tree.N))
	larger := bytes.Replace(signed, size, []byte(fmt.Sprintf("\n%d\n", tree.N+1)), 1)
	_, err = o.checkpoint(larger)
	reject("a checkpoint of another size", err)
	rooted := bytes.Replace(signed, []byte(tree.Hash.String()), []byte(flipped(tree.Hash).String()), 1)
	_, err = o.checkpoint(rooted)
	reject("a checkpoint of another root", err)
	for _, at := range []int{len(signed) - 4, len(signed) - 40} {
		changed := append([]byte{}, signed...)
		changed[at] = map[bool]byte{true: 'B', false: 'A'}[changed[at] == 'A']
		_, err = o.checkpoint(changed)
		reject("a changed signature", err)
	}
	printed, err := json.Marshal(r)
	must(err)
	fmt.Println(string(printed))
}

func (o *outsider) entries(size int64) [][]byte {
	var all [][]byte
	for n := int64(0); n*256 < size; n++ {
		width := min(size-n*256, 256)
		tile := tlog.Tile{H: 8, L: 0, N: n, W: int(width)}
		data, err := o.read(strings.Replace(tile.Path(), "tile/8/0/", "tile/entries/", 1))
		must(err)
		for len(data) > 0 {
			length := int(binary.BigEndian.Uint16(data))
			all = append(all, data[2:2+length])
			data = data[2+length:]
		}
	}
	return all
}

func format(n int64, proof tlog.RecordProof, checkpoint []byte) []byte {
	text := fmt.Sprintf("c2sp.org/tlog-proof@v1\nindex %d\n", n)
	for _, hash := range proof {
		text += hash.String() + "\n"
	}
	return append([]byte(text+"\n"), checkpoint...)
}

func flipped(hash tlog.Hash) tlog.Hash {
	hash[7] ^= 1
	return hash
}

func flip(line string) string {
	raw, err := base64.StdEncoding.DecodeString(line)
	must(err)
	raw[3] ^= 1
	return base64.StdEncoding.EncodeToString(raw)
}
