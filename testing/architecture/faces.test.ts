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
  assertNames(
    face,
    'RegistryError fileTrust loadConfig nativeVerifier readConfigFile readConfigSources startServer',
  );
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
    `ERROR_CODES LogTree NO_WITNESSES RegistryError SCHEMA_VERSION SetTree admitKey appendEntry
    approvalStatement assertErasable brokenFences canonicalBytes canonicalText changePaths changesOf compareKeys
    cosignedMessage cosignedSubtree countQuorum createPortableVerifier decodeApprovals decodeBase64
    decodeBundle decodeDescriptor decodeLeaf decodePayload decodeSetProof decodeTile descriptorPath
    descriptorValueHash eligibleSigners encodeAddCheckpoint encodeApprovals encodeBase64 encodeBundle
    encodeCheckpoint encodeCosignature encodeDescriptor encodeLeaf encodeNote encodeProofFile
    encodeSetProof encodeSignature encodeVerifierKey entryHash escapeText formatHash formatTileName
    formatTime governanceHash hashOf isApprovalValid isConsistent isHash isIncluded isTime
    parseAddCheckpoint parseCanonical parseHash parseNote parsePolicy parseProofFile parseSignatures
    parseTileName parseVerifierKey proveConsistency proveInclusion quorumTime readApproval readSetProof
    readSignedCheckpoint recordHash registryOf rootAt signersOf tileWidth verifyBranch verifyEntry`,
  );
});
