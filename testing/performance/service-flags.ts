/** How a service is run: as the unit and the image have it, which tests hold against this. */

/**
 * Else the young generation of each thread grows to 100 MiB under load, most of it garbage: V8 measures it by the
 * machine, and this one has 24 GB. Of the processor time of a read it takes nothing that could be measured.
 */
export const SERVICE_FLAGS: readonly string[] = ['--max-semi-space-size=8'];

/** Else glibc keeps what a thread has freed for that thread: 50 MiB of a set of 50,000. Other C libraries ignore it. */
export const SERVICE_ENV: Readonly<Record<string, string>> = { MALLOC_ARENA_MAX: '1' };

/** Of `quorate serve`, by name: free ports, and nothing that is measured is refused or shed. */
export const SERVICE_SETTINGS: Readonly<Record<string, string>> = {
  listen: '127.0.0.1:0',
  metrics_listen: '127.0.0.1:0',
  log_level: 'error',
  // Counted as always, never reached: one address is the whole load here.
  max_reads_per_minute: '1000000000',
  max_writes_per_minute: '1000000000',
  max_pending_proposals: '10000',
  max_connections_per_address: '20000',
  max_connections: '20000',
  max_streams: '20000',
  max_streams_per_address: '20000',
  // That the machine is busy must refuse nothing here: what is slow is to be seen as slow.
  shed_loop_after: '10m',
  shed_storage_after: '10m',
};
