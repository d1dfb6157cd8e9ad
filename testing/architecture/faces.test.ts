/** The package's public names. A name that goes is an incompatible change, one that comes is a promise: both are made here on purpose. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as client from '../../src/client/index.ts';
import * as core from '../../src/core/index.ts';
import * as face from '../../src/index.ts';

function assertNames(module: object, expected: string): void {
  assert.deepEqual(Object.keys(module).sort(), expected.trim().split(/\s+/).sort());
}

test('quorate runs a registry', () => {
  assertNames(face, 'RegistryError fileTrust loadConfig nativeVerifier readConfigFile startServer');
});

test('quorate/client reads one', () => {
  assertNames(
    client,
    'ERROR_CODES RegistryError createClient createPortableVerifier isErrorCode memoryTrust',
  );
});

test('quorate/core is the wire format', () => {
  assertNames(
    core,
    `ERROR_CODES RegistryError SCHEMA_VERSION SetTree admitKey appendEntry approvalStatement brokenFences
    canonicalBytes canonicalText changePaths changesOf compareKeys countQuorum createPortableVerifier
    decodeApprovals decodeBase64 decodeDescriptor decodeLeaf decodePayload decodeSetProof descriptorPath
    descriptorValueHash eligibleSigners encodeApprovals encodeBase64 encodeDescriptor encodeLeaf
    encodeSetProof encodeVerifierKey entryHash escapeText formatHash formatTime governanceHash hashOf
    isApprovalValid isHash isTime parseCanonical parseHash parseVerifierKey readApproval readSetProof
    registryOf verifyBranch verifyEntry`,
  );
});
