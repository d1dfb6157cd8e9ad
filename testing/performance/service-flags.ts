/** How node runs a service: as the unit and the image have it, which tests hold against this. */

/**
 * Else the young generation of each thread grows to 100 MiB under load, most of it garbage: V8 measures it by the
 * machine, and this one has 24 GB. Of the processor time of a read it takes nothing that could be measured.
 */
export const SERVICE_FLAGS: readonly string[] = ['--max-semi-space-size=8'];
