/** Who sends events to many, measured alike: a registry that commits, and nchan. */
import type { ChildServer } from './child.ts';
import { DURABLE_FLAGS, DurableTimes } from './durable.ts';
import { type Entry, entryOf, inFlight, postEntry } from './entries.ts';
import { NCHAN_STREAM, publishToNchan, startNchan } from './nchan-process.ts';
import { Poster } from './poster.ts';
import {
  type RegistryProcess,
  type RegistryProcessOptions,
  startRegistry,
} from './registry-process.ts';
import { REGISTRY_STREAM, type Stream, Subscribers } from './subscribers.ts';

const ENTRY_BYTES = 4_096;
const AT_ONCE = 8;

export interface Publisher extends AsyncDisposable {
  readonly server: ChildServer;
  readonly stream: Stream;
  /** Whatever so many events need that is not part of their way. */
  prepare(events: number): Promise<void>;
  /** One event. Resolves when it is taken, with since when it was there to be sent, by `performance.now()`. */
  publish(): Promise<number>;
}

export class RegistryPublisher implements Publisher {
  readonly stream = REGISTRY_STREAM;
  readonly server: RegistryProcess;
  readonly #durable: DurableTimes;
  readonly #poster: Poster;
  readonly #ready: Entry[] = [];
  #made = 0;

  private constructor(server: RegistryProcess, durable: DurableTimes) {
    this.server = server;
    this.#durable = durable;
    this.#poster = new Poster(server.url, AT_ONCE);
  }

  static async start(options: RegistryProcessOptions): Promise<RegistryPublisher> {
    const durable = new DurableTimes();
    const nodeFlags = [...(options.nodeFlags ?? []), ...DURABLE_FLAGS];
    const server = await startRegistry('macronode', {
      ...options,
      nodeFlags,
      onSaid: durable.take,
    });
    return new RegistryPublisher(server, durable);
  }

  /** Proposed, and approved by as many as a commit needs. */
  async prepare(events: number): Promise<void> {
    const entries = Array.from({ length: events }, () =>
      entryOf(this.server, { id: `event-${this.#made++}`, bytes: ENTRY_BYTES }),
    );
    await inFlight(entries, AT_ONCE, (entry) => postEntry(this.#poster, entry));
    this.#ready.push(...entries);
  }

  async publish(): Promise<number> {
    const entry = this.#ready.shift();
    if (entry === undefined) throw new Error('expected a prepared event, got none');
    const postedMs = performance.now();
    await this.#poster.post(entry.commitPath);
    return this.#durable.firstAfter(postedMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#poster[Symbol.dispose]();
    await this.server[Symbol.asyncDispose]();
  }
}

export class NchanPublisher implements Publisher {
  readonly stream = NCHAN_STREAM;
  readonly server: ChildServer;
  readonly #poster: Poster;
  #body = Buffer.alloc(300, 'x');

  private constructor(server: ChildServer) {
    this.server = server;
    this.#poster = new Poster(server.url, AT_ONCE);
  }

  static async start(connections: number): Promise<NchanPublisher> {
    return new NchanPublisher(await startNchan(connections));
  }

  /** From now on its events are as long on the connection as those of the other, framing and all. */
  async matchBytes(other: Publisher): Promise<void> {
    const more = (await bytesOfEvent(other)) - (await bytesOfEvent(this));
    this.#body = Buffer.alloc(this.#body.length + more, 'x');
  }

  async prepare(): Promise<void> {}

  async publish(): Promise<number> {
    const postedMs = performance.now();
    await publishToNchan(this.#poster, this.#body);
    return postedMs;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#poster[Symbol.dispose]();
    await this.server[Symbol.asyncDispose]();
  }
}

async function bytesOfEvent(publisher: Publisher): Promise<number> {
  await publisher.prepare(1);
  await using one = await Subscribers.open(publisher.server.url, 1, publisher.stream);
  await Promise.all([one.reached(1), publisher.publish()]);
  return one.bytes;
}
