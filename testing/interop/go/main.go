// Reads a log as Go's golang.org/x/mod/sumdb does: note.Open for checkpoints, tlog.TileHashReader for
// tiles, CheckRecord and CheckTree for proofs. Only the names of tiles (tile/8/L/N there, tile/L/N here),
// entry bundles and cosignatures are C2SP's and so written here.
//
//	reader PREFIX LOG_VKEY COSIGNER_VKEY CHECKPOINT...
//	    PREFIX is a directory or an http URL; COSIGNER_VKEY may be "none"; checkpoints are paths below
//	    PREFIX, or file:PATH, oldest first. Prints one line of JSON for each, or says what does not hold
//	    and exits 1.
//	reader sign NAME TEXT
//	    Prints a new key's vkey and TEXT as a note signed by it, as JSON.
package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const tileHeight = 8

func main() {
	var err error
	switch args := os.Args[1:]; {
	case len(args) == 3 && args[0] == "sign":
		err = signNote(args[1], args[2])
	case len(args) >= 4:
		err = readLog(args[0], args[1], args[2], args[3:])
	default:
		err = errors.New("expected PREFIX LOG_VKEY COSIGNER_VKEY CHECKPOINT... or sign NAME TEXT")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// place is a directory or a URL that files are read below.
type place string

func (p place) read(path string) ([]byte, error) {
	if strings.HasPrefix(path, "file:") {
		return os.ReadFile(strings.TrimPrefix(path, "file:"))
	}
	if !strings.HasPrefix(string(p), "http://") {
		return os.ReadFile(filepath.Join(string(p), filepath.FromSlash(path)))
	}
	client := http.Client{Timeout: 10 * time.Second}
	answer, err := client.Get(string(p) + "/" + path)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", path, answer.Status)
	}
	return io.ReadAll(answer.Body)
}

// tiles gives tlog its tiles under C2SP's names.
type tiles struct{ place }

func (tiles) Height() int                     { return tileHeight }
func (tiles) SaveTiles([]tlog.Tile, [][]byte) {}

func (t tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	found := make([][]byte, len(wanted))
	for i, tile := range wanted {
		data, err := t.read("tile/" + strings.TrimPrefix(tile.Path(), fmt.Sprintf("tile/%d/", tileHeight)))
		if err != nil {
			return nil, err
		}
		found[i] = data
	}
	return found, nil
}

// readLeaves reads the first size leaves from entry bundles.
func (p place) readLeaves(size int64) ([][]byte, error) {
	var leaves [][]byte
	for n := int64(0); n*256 < size; n++ {
		tile := tlog.Tile{H: tileHeight, L: 0, N: n, W: 256}
		if rest := size - n*256; rest < 256 {
			tile.W = int(rest)
		}
		path := "tile/entries/" + strings.TrimPrefix(tile.Path(), fmt.Sprintf("tile/%d/0/", tileHeight))
		data, err := p.read(path)
		if err != nil {
			return nil, err
		}
		for i := 0; i < tile.W; i++ {
			if len(data) < 2 || len(data) < 2+int(binary.BigEndian.Uint16(data)) {
				return nil, fmt.Errorf("%s ends in leaf %d", path, i)
			}
			end := 2 + int(binary.BigEndian.Uint16(data))
			leaves, data = append(leaves, data[2:end]), data[end:]
		}
		if len(data) > 0 {
			return nil, fmt.Errorf("%s has more than %d leaves", path, tile.W)
		}
	}
	return leaves, nil
}

// cosigner is C2SP's cosignature/v1, which note does not know.
type cosigner struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func (c *cosigner) Name() string    { return c.name }
func (c *cosigner) KeyHash() uint32 { return c.hash }

func (c *cosigner) Verify(text, signature []byte) bool {
	if len(signature) != 8+ed25519.SignatureSize {
		return false
	}
	seconds := binary.BigEndian.Uint64(signature)
	message := append([]byte(fmt.Sprintf("cosignature/v1\ntime %d\n", seconds)), text...)
	return ed25519.Verify(c.key, message, signature[8:])
}

func newCosigner(vkey string) (*cosigner, error) {
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 {
		return nil, fmt.Errorf("no vkey: %s", vkey)
	}
	typed, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(typed) != 1+ed25519.PublicKeySize || typed[0] != 4 {
		return nil, fmt.Errorf("no cosigner key: %s", vkey)
	}
	sum := sha256.Sum256(append([]byte(parts[0]+"\n"), typed...))
	if fmt.Sprintf("%x", sum[:4]) != parts[1] {
		return nil, fmt.Errorf("another id than that of the key: %s", vkey)
	}
	return &cosigner{parts[0], binary.BigEndian.Uint32(sum[:4]), typed[1:]}, nil
}

type proof struct {
	Place  int64       `json:"place"`
	Hashes []tlog.Hash `json:"hashes"`
}

type report struct {
	Origin      string   `json:"origin"`
	Size        int64    `json:"size"`
	Root        string   `json:"root"`
	Signers     []string `json:"signers"`
	Leaves      int      `json:"leaves"`
	Inclusion   []proof  `json:"inclusion"`
	Consistency []proof  `json:"consistency"`
}

func readLog(prefix, logKey, cosignerKey string, paths []string) error {
	logVerifier, err := note.NewVerifier(logKey)
	if err != nil {
		return err
	}
	known := []note.Verifier{logVerifier}
	if cosignerKey != "none" {
		cosigner, err := newCosigner(cosignerKey)
		if err != nil {
			return err
		}
		known = append(known, cosigner)
	}
	var older []tlog.Tree
	for _, path := range paths {
		message, err := place(prefix).read(path)
		if err != nil {
			return err
		}
		opened, err := note.Open(message, note.VerifierList(known...))
		if err != nil {
			return fmt.Errorf("%s: %v", path, err)
		}
		if len(opened.Sigs) != len(known) {
			return fmt.Errorf("%s: %d of %d keys signed", path, len(opened.Sigs), len(known))
		}
		tree, err := checkTree(place(prefix), opened, older)
		if err != nil {
			return fmt.Errorf("%s: %v", path, err)
		}
		older = append(older, tree)
	}
	return nil
}

func checkTree(from place, opened *note.Note, older []tlog.Tree) (tlog.Tree, error) {
	origin, rest, _ := strings.Cut(opened.Text, "\n")
	tree, err := tlog.ParseTree([]byte("go.sum database tree\n" + rest))
	if err != nil {
		return tree, err
	}
	hashes := tlog.TileHashReader(tree, tiles{from})
	said := report{Origin: origin, Size: tree.N, Root: tree.Hash.String()}
	for _, signature := range opened.Sigs {
		said.Signers = append(said.Signers, signature.Name)
	}
	root, err := tlog.TreeHash(tree.N, hashes)
	if err != nil {
		return tree, err
	}
	if root != tree.Hash {
		return tree, errors.New("the tiles have another root")
	}
	leaves, err := from.readLeaves(tree.N)
	if err != nil {
		return tree, err
	}
	if err := checkLeaves(tree, leaves, hashes); err != nil {
		return tree, err
	}
	said.Leaves = len(leaves)
	if said.Inclusion, err = checkInclusion(tree, leaves, hashes); err != nil {
		return tree, err
	}
	if said.Consistency, err = checkConsistency(tree, older, hashes); err != nil {
		return tree, err
	}
	return tree, json.NewEncoder(os.Stdout).Encode(said)
}

// checkLeaves makes the tree anew from the leaves and compares every hash of every tile with it:
// TileHashReader (of x/mod 0.7) does not hold every full tile that it reads against its parent.
func checkLeaves(tree tlog.Tree, leaves [][]byte, hashes tlog.HashReader) error {
	var stored []tlog.Hash
	own := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		found := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			found[i] = stored[index]
		}
		return found, nil
	})
	for i, leaf := range leaves {
		added, err := tlog.StoredHashes(int64(i), leaf, own)
		if err != nil {
			return err
		}
		stored = append(stored, added...)
	}
	if root, err := tlog.TreeHash(tree.N, own); err != nil || root != tree.Hash {
		return fmt.Errorf("the entry bundles have another root (%v)", err)
	}
	for level := 0; tree.N>>level > 0; level += tileHeight {
		indexes := make([]int64, tree.N>>level)
		for i := range indexes {
			indexes[i] = tlog.StoredHashIndex(level, int64(i))
		}
		found, err := hashes.ReadHashes(indexes)
		if err != nil {
			return err
		}
		for i, index := range indexes {
			if found[i] != stored[index] {
				return fmt.Errorf("hash %d of level %d is not that of the leaves", i, level)
			}
		}
	}
	return nil
}

func checkInclusion(tree tlog.Tree, leaves [][]byte, hashes tlog.HashReader) ([]proof, error) {
	var proofs []proof
	for _, index := range []int64{0, 1, tree.N / 3, tree.N / 2, 255, 256, 65536, tree.N - 2, tree.N - 1} {
		if index < 0 || index >= tree.N {
			continue
		}
		made, err := tlog.ProveRecord(tree.N, index, hashes)
		if err != nil {
			return nil, err
		}
		if err := tlog.CheckRecord(made, tree.N, tree.Hash, index, tlog.RecordHash(leaves[index])); err != nil {
			return nil, fmt.Errorf("leaf %d: %v", index, err)
		}
		proofs = append(proofs, proof{index, made})
	}
	return proofs, nil
}

func checkConsistency(tree tlog.Tree, older []tlog.Tree, hashes tlog.HashReader) ([]proof, error) {
	var proofs []proof
	for _, old := range older {
		made, err := tlog.ProveTree(tree.N, old.N, hashes)
		if err != nil {
			return nil, err
		}
		if err := tlog.CheckTree(made, tree.N, tree.Hash, old.N, old.Hash); err != nil {
			return nil, fmt.Errorf("size %d: %v", old.N, err)
		}
		proofs = append(proofs, proof{old.N, made})
	}
	return proofs, nil
}

func signNote(name, text string) error {
	secret, vkey, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		return err
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		return err
	}
	signed, err := note.Sign(&note.Note{Text: text}, signer)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]string{"vkey": vkey, "note": string(signed)})
}
