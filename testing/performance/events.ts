/**
 * Events on their way to subscribers, a hundred and thousands, beside nchan with the same client and as many
 * bytes. A registry's event counts from when its transaction was durable, told by the thread that committed
 * (`durable-clock.ts`), so that reading back, signing and announcing are in it; nchan's, which keeps nothing,
 * from when it was posted. An event has arrived when this process has read it: that it reads all others
 * before is in it. Processor time is the server's, the whole commit or publication included.
 */
import { Audience, type Sent } from './audience.ts';
import type { Bench } from './bench.ts';
import type { Sample } from './figure.ts';
import { loopbackUs } from './loopback.ts';
import { hasNchan } from './nchan-process.ts';
import { NchanPublisher, type Publisher, RegistryPublisher } from './publishers.ts';
import type { RegistryProcessOptions } from './registry-process.ts';
import { median, quantile } from './statistics.ts';
import { assertRoomFor } from './subscribers.ts';

const FEW = 100;
const FEW_EVENTS = 100;
const MANY_EVENTS = 15;
const FRAME_BYTES = 300;

export interface EventsPlan extends RegistryProcessOptions {
  /** Beside nchan. At last there are twice as many, without it. */
  readonly subscribers: number;
}

interface Pair<T> {
  readonly ours: T;
  readonly theirs: T;
}

/** Servers are new in each round: what subscribers take of memory shows only the first time. */
export async function openEvents(plan: EventsPlan): Promise<Bench> {
  assertRoomFor(plan.subscribers * 2);
  if (!hasNchan) throw new Error('expected nchan, a module of nginx, got none: install it');
  return {
    // They start and end within a round.
    pids: [],
    round: () => measureEvents(plan),
    [Symbol.asyncDispose]: async () => undefined,
  };
}

async function measureEvents({ subscribers, ...options }: EventsPlan): Promise<readonly Sample[]> {
  await using ours = await RegistryPublisher.start(options);
  await using theirs = await NchanPublisher.start(subscribers);
  await theirs.matchBytes(ours);
  const many = await measureMany({ ours, theirs }, subscribers);
  // After it: what events leave behind would make room for subscribers whose memory is measured.
  const few = await samplesOfFew(await sendToFew(ours));
  return [...few, ...many];
}

async function sendToFew(publisher: Publisher): Promise<readonly Sent[]> {
  await using few = await Audience.gather(publisher, FEW);
  await few.warmUp();
  return await sendTo(few, FEW_EVENTS);
}

async function sendTo(audience: Audience, events: number): Promise<readonly Sent[]> {
  const sent: Sent[] = [];
  for (let i = 0; i < events; i++) sent.push(await audience.send());
  return sent;
}

async function samplesOfFew(sent: readonly Sent[]): Promise<readonly Sample[]> {
  const bare = await loopbackUs({ turns: FEW_EVENTS, bytes: FRAME_BYTES });
  const sample = (what: string, q: number): Sample => ({
    name: `event to ${FEW} subscribers: ${what}`,
    kind: 'latency',
    unit: 'us',
    reference: 'a frame over loopback',
    ours: quantileOf(sent, q) * 1_000,
    theirs: quantile(bare, q),
  });
  return [sample('p50', 0.5), sample('p99', 0.99)];
}

async function measureMany(publishers: Pair<Publisher>, count: number): Promise<readonly Sample[]> {
  await using ours = await Audience.gather(publishers.ours, count);
  const { samples, sent } = await measureBesideNchan(ours, publishers.theirs, count);
  await ours.grow(count);
  await ours.warmUp();
  const twice: Sample = {
    name: `event to ${named(count * 2)}: p95`,
    kind: 'latency',
    unit: 'ms',
    reference: `to ${named(count)}`,
    ours: quantileOf(await sendTo(ours, MANY_EVENTS), 0.95),
    theirs: quantileOf(sent, 0.95),
  };
  return [...samples, twice];
}

/** Event by event in turns, so that a slow moment of the machine hits both. */
async function measureBesideNchan(
  ours: Audience,
  nchan: Publisher,
  count: number,
): Promise<{ samples: readonly Sample[]; sent: readonly Sent[] }> {
  await using theirs = await Audience.gather(nchan, count);
  const sent: { ours: Sent[]; theirs: Sent[] } = { ours: [], theirs: [] };
  for (const audience of [ours, theirs]) await audience.warmUp();
  for (let i = 0; i < MANY_EVENTS; i++) {
    sent.ours.push(await ours.send());
    sent.theirs.push(await theirs.send());
  }
  const kib = { ours: ours.kibEach, theirs: theirs.kibEach };
  return { samples: samplesOfMany(count, sent, kib), sent: sent.ours };
}

function samplesOfMany(
  count: number,
  { ours, theirs }: Pair<readonly Sent[]>,
  kib: Pair<number>,
): readonly Sample[] {
  const event = `event to ${named(count)}`;
  const reference = 'nchan';
  return [
    {
      name: `${event}: last one`,
      kind: 'latency',
      unit: 'ms',
      reference,
      ours: lastOf(ours),
      theirs: lastOf(theirs),
    },
    {
      name: `${event}: processor`,
      kind: 'time',
      unit: 'ms/event',
      reference,
      ours: cpuOf(ours),
      theirs: cpuOf(theirs),
    },
    { name: 'memory of an idle subscriber', kind: 'memory', unit: 'KiB', reference, ...kib },
  ];
}

function named(subscribers: number): string {
  return `${subscribers.toLocaleString('en-US')} subscribers`;
}

/** Over all subscribers and events. */
function quantileOf(sent: readonly Sent[], q: number): number {
  const all = sent.flatMap(({ ms }) => ms);
  return quantile(all, q);
}

function lastOf(sent: readonly Sent[]): number {
  return median(sent.map(({ ms }) => ms.at(-1) ?? Number.NaN));
}

/** Collecting what events leave behind is part of what they cost, so the mean. */
function cpuOf(sent: readonly Sent[]): number {
  return sent.reduce((sum, { cpuMs }) => sum + cpuMs, 0) / sent.length;
}
