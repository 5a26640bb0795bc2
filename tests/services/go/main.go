// Checks what Sealog publishes with the libraries of others: notes with golang.org/x/mod/sumdb/note, proofs with
// github.com/transparency-dev/merkle, a tile view with Tessera's client. Nothing of Sealog's is used.
//
//	checker note VKEY NOTE              a signed checkpoint; prints size and root
//	checker proof VKEY PROOF            a tlog-proof with Sealog's extra data; prints index, size and root
//	checker consistency VKEY PROOF      Sealog's proof that one checkpoint extends another; prints size and root of both
//	checker view VKEY URL SEQ OLD       the same two from the tiles alone: that SEQ is in the log at file:///DIR or
//	                                    http://…, and that its checkpoint extends OLD; prints index, size and root
//
// VKEY, NOTE, PROOF and OLD are files. What does not hold is said on standard error, with exit code 1.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/client"
	"golang.org/x/mod/sumdb/note"
)

func main() {
	said, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "checker:", err)
		os.Exit(1)
	}
	fmt.Println(said)
}

func run(args []string) (string, error) {
	verbs := map[string]struct {
		files int
		check func(note.Verifier, []string) (string, error)
	}{
		"note":        {1, checkNote},
		"proof":       {1, checkProof},
		"consistency": {1, checkConsistency},
		"view":        {3, checkView},
	}
	if len(args) < 2 || verbs[args[0]].check == nil || len(args) != 2+verbs[args[0]].files {
		return "", errors.New("usage: checker note|proof|consistency|view VKEY …, as main.go says")
	}
	key, err := os.ReadFile(args[1])
	if err != nil {
		return "", err
	}
	verifier, err := note.NewVerifier(strings.TrimSuffix(string(key), "\n"))
	if err != nil {
		return "", fmt.Errorf("%s: %w", args[1], err)
	}
	return verbs[args[0]].check(verifier, args[2:])
}

// The origin is the key's name: a log of ours has no other.
func open(text []byte, verifier note.Verifier) (*log.Checkpoint, error) {
	checkpoint, _, _, err := log.ParseCheckpoint(text, verifier.Name(), verifier)
	return checkpoint, err
}

func openFile(name string, verifier note.Verifier) (*log.Checkpoint, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	checkpoint, err := open(text, verifier)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return checkpoint, nil
}

func words(checkpoint *log.Checkpoint) string {
	return fmt.Sprintf("%d %s", checkpoint.Size, base64.StdEncoding.EncodeToString(checkpoint.Hash))
}

func checkNote(verifier note.Verifier, args []string) (string, error) {
	checkpoint, err := openFile(args[0], verifier)
	if err != nil {
		return "", err
	}
	return words(checkpoint), nil
}

func checkProof(verifier note.Verifier, args []string) (string, error) {
	lines, checkpoint, err := readProof(args[0], "c2sp.org/tlog-proof@v1", verifier)
	if err != nil {
		return "", err
	}
	data, err := cut(lines, 0, "extra ")
	if err != nil {
		return "", err
	}
	extra, err := base64.StdEncoding.Strict().DecodeString(data)
	if err != nil {
		return "", err
	}
	index, err := cut(lines, 1, "index ")
	if err != nil {
		return "", err
	}
	seq, err := strconv.ParseUint(index, 10, 64)
	if err != nil {
		return "", err
	}
	hashes, err := decode(lines[2:])
	if err != nil {
		return "", err
	}
	link, err := linkOf(extra)
	if err != nil {
		return "", err
	}
	return included(seq, link, hashes, checkpoint)
}

// readProof takes a file apart that begins with that line and ends with a checkpoint: the lines between, and what was
// signed.
func readProof(file, first string, verifier note.Verifier) ([]string, *log.Checkpoint, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, err
	}
	head, signed, found := strings.Cut(string(text), "\n\n")
	lines := strings.Split(head, "\n")
	if !found || lines[0] != first {
		return nil, nil, fmt.Errorf("%s is no %s", file, first)
	}
	checkpoint, err := open([]byte(signed), verifier)
	return lines[1:], checkpoint, err
}

// cut takes what stands behind the prefix that a line must have.
func cut(lines []string, at int, prefix string) (string, error) {
	if at < len(lines) {
		if rest, found := strings.CutPrefix(lines[at], prefix); found {
			return rest, nil
		}
	}
	return "", errors.New("there is no line that begins with " + prefix)
}

// linkOf reads the link that stands in a proof's extra data, and holds it to the event that stands behind it.
func linkOf(data []byte) ([]byte, error) {
	if len(data) < 92 || string(data[:4]) != "SLP1" {
		return nil, errors.New("the extra data is not Sealog's")
	}
	link, rest := data[4:88], data[88:]
	size := uint64(binary.BigEndian.Uint32(rest))
	if size > uint64(len(rest)-4) {
		return nil, errors.New("the extra data is cut off")
	}
	schema, event := rest[4:4+size], rest[4+size:]
	if !bytes.Equal(eventHash(schema, event), link[52:]) {
		return nil, errors.New("the link is about another event")
	}
	return link, nil
}

// eventHash is the one formula of docs/FORMAT.md that no library of others has.
func eventHash(schema, event []byte) []byte {
	ofSchema := sha256.Sum256(schema)
	hash := sha256.Sum256(append(ofSchema[:], event...))
	return hash[:]
}

func included(seq uint64, link []byte, hashes [][]byte, checkpoint *log.Checkpoint) (string, error) {
	if len(link) != 84 || string(link[:4]) != "SLG1" || binary.BigEndian.Uint64(link[4:]) != seq {
		return "", fmt.Errorf("seq %d holds the link of another", seq)
	}
	leaf := rfc6962.DefaultHasher.HashLeaf(link)
	err := proof.VerifyInclusion(rfc6962.DefaultHasher, seq, checkpoint.Size, leaf, hashes, checkpoint.Hash)
	if err != nil {
		return "", fmt.Errorf("seq %d is not in the tree: %w", seq, err)
	}
	return fmt.Sprintf("%d %s", seq, words(checkpoint)), nil
}

func checkConsistency(verifier note.Verifier, args []string) (string, error) {
	lines, after, err := readProof(args[0], "sealog/consistency-proof/v1", verifier)
	if err != nil {
		return "", err
	}
	data, err := cut(lines, 0, "old ")
	if err != nil {
		return "", err
	}
	old, err := base64.StdEncoding.Strict().DecodeString(data)
	if err != nil {
		return "", err
	}
	before, err := open(old, verifier)
	if err != nil {
		return "", err
	}
	hashes, err := decode(lines[1:])
	if err != nil {
		return "", err
	}
	if err := extended(before, after, hashes); err != nil {
		return "", err
	}
	return words(before) + " " + words(after), nil
}

func extended(before, after *log.Checkpoint, hashes [][]byte) error {
	err := proof.VerifyConsistency(
		rfc6962.DefaultHasher, before.Size, after.Size, hashes, before.Hash, after.Hash)
	if err != nil {
		return fmt.Errorf("size %d does not extend size %d: %w", after.Size, before.Size, err)
	}
	return nil
}

func checkView(verifier note.Verifier, args []string) (string, error) {
	before, err := openFile(args[2], verifier)
	if err != nil {
		return "", err
	}
	seq, err := strconv.ParseUint(args[1], 10, 64)
	if err != nil {
		return "", err
	}
	log, err := fetcher(args[0])
	if err != nil {
		return "", err
	}
	ctx := context.Background()
	checkpoint, _, _, err := client.FetchCheckpoint(ctx, log.ReadCheckpoint, verifier, verifier.Name())
	if err != nil {
		return "", err
	}
	builder, err := client.NewProofBuilder(ctx, checkpoint.Size, log.ReadTile)
	if err != nil {
		return "", err
	}
	hashes, err := builder.ConsistencyProof(ctx, before.Size, checkpoint.Size)
	if err != nil {
		return "", err
	}
	if err := extended(before, checkpoint, hashes); err != nil {
		return "", err
	}
	hashes, err = builder.InclusionProof(ctx, seq)
	if err != nil {
		return "", err
	}
	bundle, err := client.GetEntryBundle(ctx, log.ReadEntryBundle, seq/256, checkpoint.Size)
	if err != nil {
		return "", err
	}
	return included(seq, bundle.Entries[seq%256], hashes, checkpoint)
}

// A log, wherever it is.
type source interface {
	ReadCheckpoint(ctx context.Context) ([]byte, error)
	ReadTile(ctx context.Context, l, i uint64, p uint8) ([]byte, error)
	ReadEntryBundle(ctx context.Context, i uint64, p uint8) ([]byte, error)
}

func fetcher(where string) (source, error) {
	at, err := url.Parse(where)
	if err != nil {
		return nil, err
	}
	if at.Scheme == "file" {
		return client.FileFetcher{Root: at.Path}, nil
	}
	return client.NewHTTPFetcher(at, nil)
}

func decode(lines []string) ([][]byte, error) {
	var hashes [][]byte
	for _, line := range lines {
		hash, err := base64.StdEncoding.Strict().DecodeString(line)
		if err != nil || len(hash) != 32 {
			return nil, fmt.Errorf("%q is no hash in base64", line)
		}
		hashes = append(hashes, hash)
	}
	return hashes, nil
}
