/**
 * Realistic descriptor sets and how they change: services, configuration, packages and flags of 150 to 600
 * bytes, of which few are released often and most hardly ever. The same seed is the same set and the same log.
 */
import { hash } from 'node:crypto';
import type { JsonObject } from '../../src/core/canonical.ts';
import { makeRandom } from '../support/random.ts';
import type { LogChange } from './long-log.ts';

export interface CataloguePlan {
  readonly descriptors: number;
  /** After genesis. The first of them put every descriptor, `FILLED_AT_ONCE` each. */
  readonly entries: number;
  readonly seed: number;
}

const FILLED_AT_ONCE = 1_000;
/** Every twentieth descriptor has nine changes of ten. */
const HOT_EVERY = 20;
const HOT_SHARE = 0.9;
/** Of ten entries one is a release train, the others are of one descriptor. */
const TRAIN_EVERY = 10;
const TRAIN_CHANGES = 10;
const REMOVED_SHARE = 0.02;

/** What each entry after genesis does; never more changes than a payload may have. */
export function* catalogueChanges(plan: CataloguePlan): Generator<readonly LogChange[]> {
  const { descriptors, entries, seed } = plan;
  const random = makeRandom(seed);
  const releases = new Map<number, number>();
  const removed = new Set<number>();
  let made = 0;
  for (let n = 0; n < descriptors && made < entries; n += FILLED_AT_ONCE, made++)
    yield Array.from({ length: Math.min(FILLED_AT_ONCE, descriptors - n) }, (_, i) =>
      catalogueDescriptor({ n: n + i, release: 0, seed }),
    );
  for (; made < entries; made++) {
    const count = made % TRAIN_EVERY === 0 ? TRAIN_CHANGES : 1;
    const chosen = new Set(Array.from({ length: count }, () => chooseDescriptor(plan, random)));
    yield [...chosen].map((n) => {
      const release = (releases.get(n) ?? 0) + 1;
      releases.set(n, release);
      const descriptor = catalogueDescriptor({ n, release, seed });
      const isRemoved = !removed.delete(n) && random() < REMOVED_SHARE;
      if (isRemoved) removed.add(n);
      return isRemoved ? { ...descriptor, spec: null } : descriptor;
    });
  }
}

function chooseDescriptor({ descriptors }: CataloguePlan, random: () => number): number {
  const one = Math.floor(random() * descriptors);
  return random() < HOT_SHARE ? one - (one % HOT_EVERY) : one;
}

interface Release {
  readonly n: number;
  readonly release: number;
  readonly seed: number;
}

/** No two releases of a descriptor are alike. */
export function catalogueDescriptor({ n, release, seed }: Release): {
  readonly kind: string;
  readonly id: string;
  readonly spec: JsonObject;
} {
  const digest = hash('sha256', `${seed}/${n}/${release}`, 'hex');
  const number = String(n).padStart(7, '0');
  const team = `team-${n % 40}`;
  const drawn: Drawn = { number, team, release, digest };
  switch (n % 4) {
    case 0:
      return { kind: 'service', id: `${team}/checkout-${number}`, spec: serviceSpec(drawn) };
    case 1:
      return { kind: 'config', id: `prod/eu-${n % 3}/checkout-${number}`, spec: configSpec(drawn) };
    case 2:
      return { kind: 'package', id: `@acme/lib-${number}`, spec: packageSpec(drawn) };
    default:
      return { kind: 'flag', id: `checkout.pricing-${number}`, spec: flagSpec(drawn) };
  }
}

interface Drawn {
  readonly number: string;
  readonly team: string;
  readonly release: number;
  readonly digest: string;
}

function serviceSpec({ number, team, release, digest }: Drawn): JsonObject {
  return {
    image: `registry.example.com/${team}/checkout@sha256:${digest}`,
    release,
    ports: [{ name: 'http', port: 8080 }],
    replicas: 2 + (release % 6),
    resources: { cpu: '500m', memory: '512Mi' },
    env: { LOG_LEVEL: 'info', UPSTREAM: `https://inventory-${number}.svc.example.com` },
    owner: `${team}@example.com`,
  };
}

function configSpec({ team, release, digest }: Drawn): JsonObject {
  return {
    revision: release,
    values: { timeout_ms: 250 + (release % 50), retries: 3, pool: 16, cache_ttl_s: 300 },
    checksum: digest,
    owner: `${team}@example.com`,
  };
}

function packageSpec({ number, team, release, digest }: Drawn): JsonObject {
  return {
    version: `1.${release}.0`,
    integrity: `sha256-${digest}`,
    url: `https://packages.example.com/acme/lib-${number}/1.${release}.0.tgz`,
    license: 'Apache-2.0',
    dependencies: { '@acme/log': '^2.4.0', '@acme/retry': '^1.9.3', undici: '^7.2.0' },
    size: 40_960 + release * 17,
    maintainers: [`${team}@example.com`, 'platform@example.com'],
  };
}

function flagSpec({ team, release, digest }: Drawn): JsonObject {
  return {
    enabled: release % 2 === 1,
    revision: release,
    rollout: (release % 100) / 100,
    rules: [{ segment: `beta-${digest.slice(0, 8)}`, percent: release % 100 }],
    owner: `${team}@example.com`,
  };
}
