/** One cosignature in both kinds of key, and what Go's reader of notes makes of it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { encodeNote } from '../../../src/core/tlog/note.ts';
import { readSignedCheckpoint, signersOf } from '../../../src/core/tlog/note-signatures.ts';
import { cosign, createCosignerKey } from '../../../src/registry/witness-cosign.ts';
import { createNoteVerifier, hasMlDsa } from '../../../src/server/note-verifier.ts';
import { openSigningKey } from '../../../src/server/signing-key.ts';
import { makeCosigner, TestLog, witnessFile } from '../../support/witness.ts';

const isInCi = process.env.QUORATE_CI !== undefined;

test('a cosignature by an ML-DSA-44 key vouches for checkpoint, name and time', async (t) => {
  if (!hasMlDsa() && !isInCi) return t.skip('this Node.js has no ML-DSA-44');
  const file = witnessFile('key.pem');
  const { privateKey } = generateKeyPairSync('ml-dsa-44');
  writeFileSync(file, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  const key = createCosignerKey('witness.example/pq', await openSigningKey({ file }));
  const log = new TestLog().grow(5);
  const checkpoint = await log.checkpoint();
  const line = await cosign(checkpoint, key, 7);
  const timeIn = async ({ text }: { text: string }) => {
    const note = encodeNote({ text, signatures: [line] });
    return (await signersOf(readSignedCheckpoint(note), [key.key], createNoteVerifier())).get(
      key.key,
    );
  };
  assert.equal(await timeIn(checkpoint), 7);
  await assert.rejects(timeIn(await log.checkpoint(4)), { code: 'invalid_signature' });
});

/** Reads a note from standard input; the arguments are verifier keys: the log's, then the cosigner's. */
const GO_READER = `package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

type cosigner struct {
	name string
	id   uint32
	key  ed25519.PublicKey
	time uint64
}

func (c *cosigner) Name() string    { return c.name }
func (c *cosigner) KeyHash() uint32 { return c.id }
func (c *cosigner) Verify(msg, sig []byte) bool {
	if len(sig) != 72 {
		return false
	}
	c.time = binary.BigEndian.Uint64(sig)
	head := fmt.Sprintf("cosignature/v1\\ntime %d\\n", c.time)
	return ed25519.Verify(c.key, append([]byte(head), msg...), sig[8:])
}

func main() {
	log, err := note.NewVerifier(os.Args[1])
	check(err)
	parts := strings.SplitN(os.Args[2], "+", 3)
	id, err := strconv.ParseUint(parts[1], 16, 32)
	check(err)
	key, err := base64.StdEncoding.DecodeString(parts[2])
	check(err)
	if key[0] != 4 {
		check(fmt.Errorf("type %d", key[0]))
	}
	c := &cosigner{name: parts[0], id: uint32(id), key: key[1:]}
	text, err := io.ReadAll(os.Stdin)
	check(err)
	n, err := note.Open(text, note.VerifierList(log, c))
	check(err)
	fmt.Println(len(n.Sigs), len(n.UnverifiedSigs), c.time)
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
`;

test('Go opens a cosigned checkpoint and finds both signatures and the time', async (t) => {
  const goPath = '/usr/share/gocode';
  const env = { ...process.env, GO111MODULE: 'off', GOPATH: goPath, GOFLAGS: '' };
  const hasGo = spawnSync('go', ['list', 'golang.org/x/mod/sumdb/note'], { env }).status === 0;
  if (!hasGo && !isInCi)
    return t.skip('Go with golang.org/x/mod is not installed (golang-go, golang-golang-x-mod-dev)');
  const log = new TestLog().grow(5);
  const key = makeCosigner('witness.example/w1');
  const checkpoint = await log.checkpoint();
  const signatures = [
    await log.sign(checkpoint.text),
    await cosign(checkpoint, key, 1_763_683_200),
  ];
  const program = witnessFile('main.go');
  writeFileSync(program, GO_READER);
  const read = (note: string) =>
    spawnSync('go', ['run', program, log.vkey, key.vkey], {
      env,
      input: note,
      encoding: 'utf8',
      timeout: 60_000,
    });
  const good = read(encodeNote({ text: checkpoint.text, signatures }));
  assert.deepEqual([good.stdout, good.stderr], ['2 0 1763683200\n', '']);
  const other = await log.checkpoint(4);
  const wrong = read(
    encodeNote({
      text: other.text,
      signatures: [await log.sign(other.text), ...signatures.slice(1)],
    }),
  );
  assert.match(wrong.stderr, /invalid signature/);
});
