/** The reasons of this machine not to write: a slow store, a late event loop, a full disk. Each shuts and opens by itself, and says so in the log. */
import { statfs } from 'node:fs/promises';
import type { WriteGate } from '../../registry/gates.ts';
import type { RegistryTimers } from '../../registry/options.ts';
import type { Log } from '../../telemetry/log.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import type { Config } from '../config.ts';
import { Ballast } from './ballast.ts';
import { DiskGate } from './disk-gate.ts';
import { LoopGate } from './loop-gate.ts';
import { storageGate } from './storage-gate.ts';
import type { Writes } from './watched-store.ts';

const LOOK_MS = 250;

export interface HealthGatesParts {
  /** In force now: a reload may change it. */
  readonly live: () => Pick<Config, 'shed'>;
  readonly writes: Writes;
  /** Must exist; `null`: nothing is kept on a disk. */
  readonly dataDir: string | null;
  readonly timers: RegistryTimers;
  readonly metrics: Pick<Metrics, 'disk'>;
  /** Of a clock that never goes back. */
  readonly nowMs: () => number;
  readonly log: Pick<Log, 'info' | 'warn'>;
  /** Default: what statfs says of `dataDir`. */
  readonly freeBytes?: (directory: string) => Promise<number>;
}

export interface HealthGates {
  readonly gates: readonly WriteGate[];
  close(): Promise<void>;
}

/** Resolves when the disk was looked at, or after a second if it does not answer. */
export async function openHealthGates(parts: HealthGatesParts): Promise<HealthGates> {
  const { live, dataDir } = parts;
  const disk = dataDir === null ? undefined : await openDiskGate({ ...parts, dataDir });
  const loop = new LoopGate({ ...parts, limitMs: () => live().shed.loopMs });
  const storage = storageGate({ ...parts, limitMs: () => live().shed.storageMs });
  const gates = disk === undefined ? [storage, loop] : [storage, loop, disk];
  const teller = new Teller(parts, gates);
  return {
    gates,
    close: async () => {
      teller.close();
      loop.close();
      await disk?.close();
    },
  };
}

function openDiskGate(parts: HealthGatesParts & { readonly dataDir: string }): Promise<DiskGate> {
  const { live, dataDir, freeBytes = freeBytesAt } = parts;
  return DiskGate.open({
    ...parts,
    freeBytes: () => freeBytes(dataDir),
    marks: () => {
      const { warnFreeBytes: warnBytes, minFreeBytes: minBytes } = live().shed;
      return { warnBytes, minBytes };
    },
    ballast: new Ballast({ ...parts, dataDir, bytes: () => live().shed.ballastBytes }),
  });
}

/** Bytes of the file system that a process without privileges may still take. */
export async function freeBytesAt(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(directory);
  return bavail * bsize;
}

/** Logs each change of a gate once, whether anybody writes or not. */
class Teller {
  readonly #parts: Pick<HealthGatesParts, 'timers' | 'log'>;
  readonly #gates: readonly WriteGate[];
  readonly #shut = new Set<string>();
  #timer: unknown;

  constructor(parts: Pick<HealthGatesParts, 'timers' | 'log'>, gates: readonly WriteGate[]) {
    this.#parts = parts;
    this.#gates = gates;
    this.#arm();
  }

  close(): void {
    this.#parts.timers.clearTimeout(this.#timer);
  }

  #arm(): void {
    this.#timer = this.#parts.timers.setTimeout(() => {
      for (const gate of this.#gates) this.#tell(gate);
      this.#arm();
    }, LOOK_MS);
  }

  #tell(gate: WriteGate): void {
    const { log } = this.#parts;
    const refusal = gate.refusal();
    if ((refusal !== undefined) === this.#shut.has(gate.name)) return;
    if (refusal === undefined) {
      this.#shut.delete(gate.name);
      log.info('writes pass again', { gate: gate.name });
    } else {
      this.#shut.add(gate.name);
      log.warn('writes are refused', { gate: gate.name, code: refusal.code, ...refusal.details });
    }
  }
}
