/** How a service is run: as the unit and the image have it, which tests hold against this. */

/**
 * Else the young generation of each thread grows to 100 MiB under load, most of it garbage: V8 measures it by the
 * machine, and this one has 24 GB. Of the processor time of a read it takes nothing that could be measured.
 */
export const SERVICE_FLAGS: readonly string[] = ['--max-semi-space-size=8'];

/** Else glibc keeps what a thread has freed for that thread: 50 MiB of a set of 50,000. Other C libraries ignore it. */
export const SERVICE_ENV: Readonly<Record<string, string>> = { MALLOC_ARENA_MAX: '1' };
