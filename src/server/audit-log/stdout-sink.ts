/** The audit log of a process that keeps nothing: the same lines on standard output, for whoever collects them. */
import { writeSync } from 'node:fs';
import { BEFORE_FIRST, type Draft, type Position, sealRecord } from './record.ts';
import type { AuditSink } from './sink.ts';

export interface LineOutput {
  /** Takes the line whole, or throws and has taken nothing of it. */
  write(line: string): void;
}

export function createStdoutSink(output: LineOutput, log: string): AuditSink {
  let position: Position = BEFORE_FIRST;
  const put = (draft: Draft): void => {
    const sealed = sealRecord(draft, position);
    output.write(new TextDecoder().decode(sealed.bytes));
    position = sealed.position;
  };
  return {
    log,
    isSuspect: false,
    get position() {
      return position;
    },
    write: async ([draft]) => {
      if (draft === undefined) return 0;
      if (position.seq === 0) put({ at: draft.at, members: { act: 'segment', log, segment: 1 } });
      put(draft);
      return 1;
    },
    sync: async () => {},
    mend: async () => {},
    setMaxBytes: () => {},
    close: async () => {},
  };
}

const STANDARD_OUTPUT = 1;

/**
 * Standard output, or another descriptor, without a buffer of ours: what was written has left the process,
 * and a reader that is gone is an error here instead of one that ends the process.
 */
export function createLineOutput(fd = STANDARD_OUTPUT): LineOutput {
  let rest: Uint8Array = new Uint8Array(0);
  const flush = (): void => {
    while (rest.length > 0) rest = rest.subarray(writeSync(fd, rest));
  };
  return {
    write: (line) => {
      // The end of a line that a full pipe took only the beginning of.
      flush();
      const bytes = new TextEncoder().encode(line);
      const written = writeSync(fd, bytes);
      rest = bytes.subarray(written);
      try {
        flush();
      } catch {
        // It is begun, so it is taken: its end goes before the next line.
      }
    },
  };
}
