import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PROBLEMS, problemType } from '../../../src/api/problems.ts';
import { ERROR_CODES, type ErrorCode } from '../../../src/core/error.ts';

/** The table of the contract: every code and its status. */
const STATUS: Readonly<Record<number, readonly ErrorCode[]>> = {
  400: [
    'malformed',
    'not_canonical',
    'too_deep',
    'invalid_request',
    'invalid_payload',
    'invalid_approval',
  ],
  401: ['unauthenticated'],
  403: ['forbidden'],
  404: ['not_found', 'unknown_proposal', 'not_initialised'],
  405: ['method_not_allowed'],
  409: ['quorum_not_reached', 'fence_broken', 'replayed', 'conflict', 'expired'],
  410: ['pruned', 'erased'],
  413: ['too_large'],
  415: ['unsupported_media_type', 'unsupported_encoding'],
  416: ['range_not_satisfiable'],
  422: [
    'wrong_registry',
    'unknown_signer',
    'invalid_signature',
    'invalid_governance',
    'hash_mismatch',
  ],
  429: ['rate_limited', 'overloaded', 'too_many_streams', 'too_many_proposals'],
  503: [
    'not_ready',
    'draining',
    'frozen',
    'storage_slow',
    'loop_late',
    'read_only',
    'outcome_unknown',
    'storage_locked',
  ],
  507: ['no_room'],
};

test('every code has the status of the contract, and 500 where it names none', () => {
  const named = new Map(
    Object.entries(STATUS).flatMap(([status, codes]) => codes.map((c) => [c, Number(status)])),
  );
  for (const code of ERROR_CODES) assert.equal(PROBLEMS[code].status, named.get(code) ?? 500, code);
});

test('whoever is told to come back is told when', () => {
  for (const code of ERROR_CODES) {
    const { status, retryAfterSeconds } = PROBLEMS[code];
    assert.equal(retryAfterSeconds !== undefined, status === 429 || status === 503, code);
  }
});

test('a title belongs to one code, and a type names it', () => {
  assert.equal(new Set(ERROR_CODES.map((code) => PROBLEMS[code].title)).size, ERROR_CODES.length);
  assert.equal(problemType('fence_broken'), 'urn:quorate:problem:fence_broken');
});
