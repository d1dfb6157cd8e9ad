/** Metrics of the process itself: memory, CPU, event loop, garbage collection, file descriptors. */
import { collectDefaultMetrics, type Registry } from 'prom-client';

// Gauges named like counters: `promtool check metrics` refuses a page that has them.
const MISNAMED = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
];

/** Observes garbage collection and the event loop from now on, for the life of the process. */
export function addProcessMetrics(registry: Registry): void {
  collectDefaultMetrics({ register: registry });
  for (const name of MISNAMED) registry.removeSingleMetric(name);
}
