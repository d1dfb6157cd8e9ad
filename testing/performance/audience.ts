/** A publisher and those who listen to it: what listening costs, and one event on its way to all of them. */
import { setTimeout as passed } from 'node:timers/promises';
import { cpuUs, residentMib } from './machine.ts';
import type { Publisher } from './publishers.ts';
import { Subscribers } from './subscribers.ts';

/** After connecting; what is idle is what is measured. */
const IDLE_MS = 1_000;
/** Memory is told in pages; a few subscribers may find room in those that are there. */
const PAGE_KIB = 4;
/** The first ones to so many find everything cold. */
const WARM_EVENTS = 2;

/** One event. */
export interface Sent {
  /** Of each subscriber, ascending. */
  readonly ms: readonly number[];
  /** Of the server, from before it was posted to after the last was reached. */
  readonly cpuMs: number;
}

export class Audience implements AsyncDisposable {
  /** How much each took of the server's memory to connect and do nothing. */
  readonly kibEach: number;
  readonly #publisher: Publisher;
  readonly #subscribers: Subscribers;

  private constructor(publisher: Publisher, subscribers: Subscribers, kibEach: number) {
    this.#publisher = publisher;
    this.#subscribers = subscribers;
    this.kibEach = kibEach;
  }

  static async gather(publisher: Publisher, count: number): Promise<Audience> {
    const { url, pid } = publisher.server;
    const before = residentMib(pid);
    const subscribers = await Subscribers.open(url, count, publisher.stream);
    await passed(IDLE_MS);
    const kib = (residentMib(pid) - before) * 1_024;
    return new Audience(publisher, subscribers, Math.max(PAGE_KIB, kib) / count);
  }

  /** So many more. */
  grow(count: number): Promise<void> {
    return this.#subscribers.add(count);
  }

  async warmUp(): Promise<void> {
    for (let i = 0; i < WARM_EVENTS; i++) await this.send();
  }

  async send(): Promise<Sent> {
    const [publisher, subscribers] = [this.#publisher, this.#subscribers];
    await publisher.prepare(1);
    const before = cpuUs(publisher.server.pid);
    const all = subscribers.reached(subscribers.count);
    const [sinceMs] = await Promise.all([publisher.publish(), all]);
    const cpuMs = (cpuUs(publisher.server.pid) - before) / 1_000;
    const ms = subscribers.arrivals.map((atMs) => atMs - sinceMs);
    const [first = Number.NaN] = ms;
    if (!(first > 0))
      throw new Error(`expected an event to come once it was there, got it ${-first} ms before`);
    return { ms, cpuMs };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#subscribers[Symbol.asyncDispose]();
  }
}
