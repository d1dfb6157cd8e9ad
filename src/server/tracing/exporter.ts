/** Delivery of spans, seen from the log: one line when a collector stops taking them, one when it takes them again. */
import type { SpanExporter } from '@opentelemetry/sdk-trace';
import type { Log } from '../../telemetry/log.ts';

const SUCCESS = 0;

/** What is not taken is lost: spans are no record, and nothing waits for them. */
export function loggedExporter(
  exporter: SpanExporter,
  { log, endpoint }: { readonly log: Log; readonly endpoint: string },
): SpanExporter {
  const collector = new URL(endpoint).origin;
  let isLosing = false;
  let lost = 0;
  const report = (count: number, { code, error }: { code: number; error?: Error }) => {
    const wasLosing = isLosing;
    isLosing = code !== SUCCESS;
    if (isLosing) lost += count;
    if (isLosing && !wasLosing)
      log.warn('spans can not be delivered and are lost', { collector, reason: reasonOf(error) });
    if (isLosing || !wasLosing) return;
    log.info('spans are delivered again', { collector, lost });
    lost = 0;
  };
  return {
    export: (spans, done) =>
      exporter.export(spans, (result) => {
        report(spans.length, result);
        done(result);
      }),
    shutdown: () => exporter.shutdown(),
  };
}

/** A code or a status; the text of an answer is a stranger's. */
function reasonOf(error: Error | undefined): string {
  const { code } = { code: undefined, ...error } as { readonly code?: unknown };
  return typeof code === 'string' || typeof code === 'number' ? String(code) : 'no answer';
}
