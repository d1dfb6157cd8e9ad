/**
 * The ground of the campaign of lies: one honest history, what a client trusted after each version of
 * it, and the places where a lie can be told.
 */

import type { Client, ClientOptions } from '../../src/client/client.ts';
import { memoryTrust } from '../../src/client/memory-trust.ts';
import type { ErrorCode } from '../../src/core/error.ts';
import { type Log, readLog } from './client-lies.ts';
import { type Lie, openClient, openStage, type Stage } from './client-server.ts';
import { LogView } from './client-tree.ts';
import { makeCosigner, type TestCosigner } from './core-checkpoint.ts';
import { put, remove } from './registry.ts';
import { START } from './signers.ts';

/** The newest version. */
export const NEWEST = 24;
export const NOW_SECONDS = START / 1000;

export const WITNESSES: readonly TestCosigner[] = [31, 32, 33].map((seed, i) =>
  makeCosigner(`witness.example.com/w${i}`, seed),
);
export const STRANGER = makeCosigner('witness.example.com/stranger', 34);

/** Two of three, who saw the head within ten minutes. */
export const DEMANDS: Partial<ClientOptions> = {
  policy: [
    ...WITNESSES.map(({ vkey }, i) => `witness w${i} ${vkey}`),
    'group two 2 w0 w1 w2',
    'quorum two',
  ].join('\n'),
  maxStaleMs: 600_000,
};

export interface History {
  readonly stage: Stage;
  readonly log: Log;
  readonly view: LogView;
  /** What a client saved at each version, 0 first. */
  readonly texts: readonly string[];
}

/** Where a lie is told: what the client trusts, and what is still before it. */
export interface Place {
  readonly history: History;
  readonly log: Log;
  readonly view: LogView;
  /** The trusted version: 1 or more, and before the newest. */
  readonly trusted: number;
  /** A version after it. */
  readonly at: number;
  /** A version up to it. */
  readonly past: number;
  /** 0 up to, not including, `below`. */
  pick(below: number): number;
}

export interface LieRow {
  readonly lie: string;
  readonly code: ErrorCode;
  readonly tell: (place: Place) => Lie;
  /** Default: `head`. */
  readonly ask?: (client: Client, place: Place) => Promise<unknown>;
  readonly options?: Partial<ClientOptions>;
  /** `true`: the client trusts the newest version, and is asked about it. */
  readonly isCaughtUp?: boolean;
}

export async function openHistory(): Promise<History> {
  const stage = await openStage();
  const trust = memoryTrust();
  const texts: string[] = [];
  const keep = async (): Promise<void> => {
    await openClient(stage, { trust }).client.head();
    texts.push((await trust.load()) ?? '');
  };
  await keep();
  for (let n = 1; n <= NEWEST; n++) {
    if (n % 6 === 3) await stage.change(put(`d-${n - 1}`, { n }, { n: n - 1 }));
    else if (n % 6 === 5) await stage.change(remove(`d-${n - 1}`, { n: n - 1 }));
    else await stage.change(put(`d-${n}`, { n }));
    await keep();
  }
  const log = await readLog(stage);
  return { stage, log, view: new LogView(log), texts };
}

export function placeIn(history: History, random: () => number, isCaughtUp = false): Place {
  const { log, view } = history;
  const pick = (below: number): number => Math.floor(random() * below);
  const trusted = isCaughtUp ? NEWEST : 1 + pick(NEWEST - 1);
  const at = Math.min(NEWEST, trusted + 1 + pick(NEWEST - trusted));
  return { history, log, view, trusted, at, past: pick(trusted), pick };
}
