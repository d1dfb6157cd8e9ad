/** Reads: one path or several in turn, with what was read before when they are conditional. */
import type { HttpSender, Outcome } from './http-sender.ts';
import { type Fault, faultOf, type LoadOptions, type LoadResult, runLoad } from './load.ts';

export interface ReadOptions extends Omit<LoadOptions, 'begin'> {
  readonly sender: HttpSender;
  readonly paths: readonly string[];
  /** Sends the ETag that came last as `If-None-Match`. */
  readonly isConditional: boolean;
}

export interface ReadResult extends LoadResult {
  /** Answered with 304. */
  readonly not_modified: number;
}

export async function runReads({
  sender,
  paths,
  isConditional,
  ...load
}: ReadOptions): Promise<ReadResult> {
  const pages = paths.map((path) => new Page(path, isConditional));
  if (isConditional) await Promise.all(pages.map((page) => page.readFirst(sender)));
  let notModified = 0;
  const result = await runLoad({
    ...load,
    begin: (job, done) =>
      pages[job.index % pages.length]?.read(sender, (fault, isUnchanged) => {
        if (isUnchanged && job.isCounted) notModified++;
        done(fault);
      }),
  });
  return { ...result, not_modified: notModified };
}

/** A path and the ETag that it had last. */
class Page {
  readonly #path: string;
  readonly #isConditional: boolean;
  #etag: string | undefined;

  constructor(path: string, isConditional: boolean) {
    this.#path = path;
    this.#isConditional = isConditional;
  }

  /** A refusal is for the run to count. */
  readFirst(sender: HttpSender): Promise<void> {
    return new Promise((resolve) => this.read(sender, () => resolve()));
  }

  read(sender: HttpSender, onRead: (fault: Fault, isUnchanged: boolean) => void): void {
    const known = this.#isConditional ? this.#etag : undefined;
    const headers = known === undefined ? {} : { 'if-none-match': known };
    sender.send({ method: 'GET', path: this.#path, headers }, (outcome) => {
      const fault = this.#judge(outcome, known);
      onRead(fault, fault === undefined && 'status' in outcome && outcome.status === 304);
    });
  }

  #judge(outcome: Outcome, known: string | undefined): Fault {
    const fault = faultOf(outcome, known === undefined ? [200] : [200, 304]);
    if (fault !== undefined || 'cause' in outcome || outcome.status === 304) return fault;
    this.#etag = outcome.etag;
    if (!this.#isConditional) return undefined;
    if (outcome.etag === undefined) return '200 without an etag';
    return outcome.etag === known ? '200 for an etag that still holds' : undefined;
  }
}
