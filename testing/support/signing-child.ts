/**
 * A program that signs, as an operator may configure one: `KEY.pem public-key` and `KEY.pem sign`.
 * `vkey:NAME` before the word makes it print its public key as a vkey of that name.
 */
import { createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { buffer } from 'node:stream/consumers';
import { encodeVerifierKey } from '../../src/core/vkey.ts';

const [path = '', ...words] = process.argv.slice(2);
const key = createPrivateKey(readFileSync(path));
const spki = createPublicKey(key).export({ format: 'der', type: 'spki' });
const publicKey = spki.subarray(key.asymmetricKeyType === 'ed25519' ? -32 : -1312);
const name = /^vkey:(.+)$/.exec(words[0] ?? '')?.[1];
const answer =
  words.at(-1) === 'sign'
    ? sign(null, await buffer(process.stdin), key).toString('base64')
    : name === undefined
      ? publicKey.toString('base64')
      : encodeVerifierKey({ name, publicKey });
process.stdout.write(`${answer}\n`);
