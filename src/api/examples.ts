/**
 * One small registry as the examples of the document: a genesis of three signers and one descriptor.
 * The keys are those of fixed seeds, so every hash and signature here verifies; a test holds them to it.
 */

const origin = 'registry.example.com/prod';
const registry = 'b3:552c2692273fc7119533d578a0dcba82674a3926afbb642fae54ecb0aaaca3bd';
const payloadB3 = 'b3:6c2c245d36de8c2511b120cb0038377bbdd0ebdd8a29def8daca410744af7345';
const entryHash = 'b3:d3a80adfde867266cb4f3f5455480a70a349f101fcd4eace35bc2ba721d4b184';
const setRoot = 'b3:62acd0efa7337ace3d2942ba4dbe86e9016d941241295fe9b09179ac8418fbaf';
const valueHash = 'b3:7972e8d177d8faf2f4d57a5fe4fb99b177b6584dc9e41f7e186694276140a85d';
const signers = ['org:acme#alice-2026', 'org:acme#bob-2026', 'org:acme#carol-2026'];

const governance = {
  log_keys: ['registry.example.com/prod+d8e6d466+AepKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs'],
  signers: [
    {
      algo: 'ed25519',
      public_key: 'rwaj4ykXFOTzVsGcmxXNGVHsbmZiqne+B1R/KJODNB0=',
      signer_id: 'org:acme#alice-2026',
    },
    {
      algo: 'ed25519',
      public_key: 'LfBBJfABWvtHzoU674dyCU/5SYwUyxueEpc8KSfaD6Y=',
      signer_id: 'org:acme#bob-2026',
    },
    {
      algo: 'ed25519',
      public_key: 'p/bfr484uJuozmSbWU+R5NAf3Ff5yUk99DteUKmYc2c=',
      signer_id: 'org:acme#carol-2026',
    },
  ],
  threshold: 2,
  version: 1,
};

const descriptor = {
  id: 'checkout',
  kind: 'service',
  spec: { image: 'registry.example.com/checkout:1.4.2', port: 8443 },
};

const payload = {
  changes: [{ ...descriptor, op: 'put', replaces: null }],
  created_at: '2026-11-21T09:30:00.000Z',
  expires_at: '2026-11-28T09:30:00.000Z',
  note: 'register checkout',
  origin,
  registry,
  schema_version: '1.0.0',
  type: 'descriptors',
};

const approvals = [
  {
    algo: 'ed25519',
    sig: 'EUzNtlHGdSKV+Xvy5oKCv4BNrj42E2WoFQsTOaofMoiLrosPgYaPIUan8/nFVb75dIieGI8wTdLPELcIvA9aCw==',
    signed_at: '2026-11-21T09:31:00.000Z',
    signer_id: 'org:acme#alice-2026',
  },
  {
    algo: 'ed25519',
    sig: '9iD1mHViwTOPCmC6f61OelrlcbeDfX0kl3RvNkyPFINizeJc7Jy8Jmp7fBsskejBx5CbAUn+YhzPcdvHvTNpCw==',
    signed_at: '2026-11-21T09:31:00.000Z',
    signer_id: 'org:acme#bob-2026',
  },
];

const leaf = {
  approvals_b3: 'b3:31ad06528658df710d1b1e058bc73ec1761087ecba4a26a22c992dc2d3bf29cf',
  committed_at: '2026-11-21T09:32:00.000Z',
  governance_version: 1,
  origin,
  payload_b3: payloadB3,
  payload_bytes: 413,
  prev_hash: 'b3:58df7e00ecf312307f48db7d368d1f388e9b184af549658df4547b428702defd',
  schema_version: '1.0.0',
  set_root: setRoot,
  set_size: 1,
  type: 'descriptors',
  version: 1,
};

const firstRecordHash = 'WR/YccuhK9bHoDghTPIE66gOdauzR1P/mbiWNIY+4Mo=';

const checkpoint = `${origin}
2
dDWuhvcPhl9WzN3eqOEstKbSGmU0YUpF8/Tju0C3NBY=

\u2014 ${origin} 2ObUZrwfFRzsIF7j1fTZyMNs3bMOCcZuheKkamaPRzn2+AyFeD5aOkumapIYeVgqiqo5HYnf0gn/EL6KNa+rHrNOmg4=
`;

const quorum = {
  reached: false,
  approvals: ['org:acme#alice-2026'],
  threshold: 2,
  missing: ['org:acme#bob-2026', 'org:acme#carol-2026'],
  rules: [{ rule: 'current', threshold: 2, signers, approved: ['org:acme#alice-2026'] }],
};

const proposal = {
  proposal_id: payloadB3,
  payload_b3: payloadB3,
  type: 'descriptors',
  state: 'pending',
  note: 'register checkout',
  created_at: payload.created_at,
  expires_at: payload.expires_at,
  payload_bytes: 413,
  changes: 1,
  approvals: approvals.slice(0, 1),
  quorum,
  fences: [],
  blocked_by: null,
  version: null,
};

export const EXAMPLES = {
  payload,
  supersede: {
    changes: [],
    created_at: '2026-11-22T09:30:00.000Z',
    expires_at: '2026-11-29T09:30:00.000Z',
    note: 'the key of bob was lost',
    origin,
    reason: 'KeyCompromise',
    registry,
    schema_version: '1.0.0',
    supersedes: entryHash,
    type: 'supersede',
  },
  approval: approvals[0],
  head: {
    committed_at: leaf.committed_at,
    entry_hash: entryHash,
    governance_version: 1,
    origin,
    payload_b3: payloadB3,
    registry,
    set_root: setRoot,
    set_size: 1,
    type: 'descriptors',
    version: 1,
  },
  entry: { approvals, leaf, payload },
  set: { items: [descriptor], origin, set_root: setRoot, version: 1 },
  setHashes: {
    items: [
      {
        path: 'b3:7490643fba8d96a61df261f6614278f7623802b052647bfa03b6d144b0b295fd',
        value_hash: valueHash,
      },
    ],
    origin,
    set_root: setRoot,
    version: 1,
  },
  descriptor: {
    descriptor,
    origin,
    proof: {
      leaf: {
        path: 'b3:7490643fba8d96a61df261f6614278f7623802b052647bfa03b6d144b0b295fd',
        value_hash: valueHash,
      },
      siblings: [],
    },
    set_root: setRoot,
    set_version: 1,
    value_hash: valueHash,
    version: 1,
  },
  checkpoint,
  inclusion: { leaf_index: 1, proof: [firstRecordHash], size: 2 },
  consistency: {
    from: 1,
    proof: ['upME3SBRZwsXHg/M6lwh3nKTKs3vQEu9rp55q+tz26w='],
    size: 2,
  },
  proofFile: `c2sp.org/tlog-proof@v1\nindex 1\n${firstRecordHash}\n\n${checkpoint}`,
  governance: { governance, origin, version: 1 },
  difference: {
    changes: [{ after: descriptor, before: null, id: 'checkout', kind: 'service' }],
    from: 0,
    origin,
    to: 1,
  },
  history: {
    id: 'checkout',
    items: [{ descriptor, end_version: null, set_version: 1, value_hash: valueHash }],
    kind: 'service',
    origin,
  },
  retention: {
    archive: 'https://archive.example.com/registry',
    oldest: 120,
    origin,
    registry,
    version: 4711,
  },
  quorum,
  proposal,
  proposals: { proposals: [proposal] },
  proposed: {
    proposal_id: payloadB3,
    payload_b3: payloadB3,
    expires_at: payload.expires_at,
    quorum: {
      ...quorum,
      approvals: [],
      missing: signers,
      rules: [{ rule: 'current', threshold: 2, signers, approved: [] }],
    },
  },
  blob: {
    address: 'b3:6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85',
    bytes: 3,
  },
  build: { name: 'quorate', version: '0.1.0', revision: null, schema_versions: ['1.0.0'] },
  readiness: { ready: true, write_ready: true, missing: [], version: 1 },
  unready: {
    ready: false,
    write_ready: false,
    missing: ['time: the service is stopping'],
    version: 1,
  },
  problem: {
    type: 'urn:quorate:problem:quorum_not_reached',
    title: 'Too few signers have approved',
    status: 409,
    detail:
      'expected 2 approvals by distinct signers, got 1; still possible: org:acme#bob-2026, org:acme#carol-2026',
    code: 'quorum_not_reached',
    corr_id: '4f0c2d0e6f0f4a5a9a2f1c9d3f6f5f11',
    details: {
      approvals: ['org:acme#alice-2026'],
      threshold: 2,
      missing: ['org:acme#bob-2026', 'org:acme#carol-2026'],
    },
  },
} as const;
