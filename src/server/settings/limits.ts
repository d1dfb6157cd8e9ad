/** Settings of how much, how long, and when writes are refused so that reads stay quick. */
import { APPLIES, bytes, duration, integer, setting } from './setting.ts';

export const LIMITS = {
  max_pending_proposals: setting({
    ...integer({ min: '1', max: '100000' }),
    initial: '1000',
    meaning: 'proposals in flight',
    metric: 'registry_pending_proposals',
    reload: 'the proposals in flight were counted by it',
  }),
  max_reads_per_minute: setting({
    ...integer({ min: '1', max: '1000000000' }),
    initial: '600000',
    meaning: 'read requests from one address (IPv6: one /64); a stream is one',
    metric: 'rejected_total{reason="rate_limited"}',
    reload: APPLIES,
  }),
  max_writes_per_minute: setting({
    ...integer({ min: '1', max: '1000000000' }),
    initial: '6000',
    meaning: 'write requests from one address (IPv6: one /64)',
    metric: 'rejected_total{reason="rate_limited"}',
    reload: APPLIES,
  }),
  max_token_writes_per_minute: setting({
    ...integer({ min: '1', max: '1000000000' }),
    initial: '6000',
    meaning: 'write requests with one access token, from wherever they come',
    metric: 'rejected_total{reason="rate_limited"}',
    reload: APPLIES,
  }),
  max_inflight: setting({
    ...integer({ min: '2', max: '1000000' }),
    initial: '2000',
    meaning:
      'requests being answered at once, streams and long polls aside; writes are refused from half of it on, reads above it, probes never',
    metric: 'rejected_total{reason="overloaded"}',
    reload: APPLIES,
  }),
  max_connections: setting({
    ...integer({ min: '1', max: '1000000' }),
    initial: '10000',
    meaning: 'open connections',
    metric: 'http_connections_refused_total{reason="total"}',
    reload: APPLIES,
  }),
  max_connections_per_address: setting({
    ...integer({ min: '1', max: '1000000' }),
    initial: '256',
    meaning:
      'open connections from one address (IPv6: one /64); those of trusted proxies and Unix sockets are not counted',
    metric: 'http_connections_refused_total{reason="address"}',
    reload: APPLIES,
  }),
  max_streams: setting({
    ...integer({ min: '1', max: '100000' }),
    initial: '1000',
    meaning: 'open streams',
    metric: 'registry_stream_subscribers',
    reload: APPLIES,
  }),
  max_streams_per_address: setting({
    ...integer({ min: '1', max: '100000' }),
    initial: '8',
    meaning: 'open streams from one address',
    metric: 'rejected_total{reason="too_many_streams"}',
    reload: APPLIES,
  }),
  max_stream_age: setting({
    ...duration({ min: '1s', max: '24h' }),
    initial: '15m',
    meaning: 'a stream is closed at about this age, and its reader resumes by id',
    metric: 'registry_stream_subscribers',
    reload: 'open streams have it already',
  }),
  max_prepared_sets: setting({
    ...bytes({ min: '0B', max: '1PiB' }),
    initial: '2GiB',
    meaning:
      'disk for whole sets that are ready to be sent, files in `sets` of `data`; one set has at most half of it, larger ones are read from the database; not for a micronode',
    metric: 'request_latency_seconds',
    reload: APPLIES,
  }),
  shed_storage_after: setting({
    ...duration({ min: '10ms', max: '10m' }),
    initial: '1s',
    meaning: 'writes are refused while the store takes this long for one',
    metric: 'rejected_total{reason="storage_slow"}',
    reload: APPLIES,
  }),
  shed_loop_after: setting({
    ...duration({ min: '10ms', max: '10m' }),
    initial: '250ms',
    meaning: 'writes are refused for a moment after the event loop was late by this much',
    metric: 'rejected_total{reason="loop_late"}',
    reload: APPLIES,
  }),
  min_free_space: setting({
    ...bytes({ min: '0B', max: '1PiB' }),
    initial: '64MiB',
    meaning:
      'writes are refused while the disk of `data` has less than this left; not for a micronode',
    metric: 'rejected_total{reason="read_only"}',
    reload: APPLIES,
  }),
  warn_free_space: setting({
    ...bytes({ min: '0B', max: '1PiB' }),
    initial: '512MiB',
    meaning:
      'an operator is warned, in the log and by `QuorateDiskLow`, while the disk of `data` has less than this left; not below `min_free_space`; 0B: never; not for a micronode',
    metric: 'registry_storage_mark',
    reload: APPLIES,
  }),
  ballast: setting({
    ...bytes({ min: '0B', max: '1TiB' }),
    initial: '32MiB',
    meaning:
      'room that the file `ballast` in `data` holds, and gives up on a full disk so that operator acts and a restart have some; made when there is plenty; 0B: none; not for a micronode',
    metric: 'registry_storage_free_bytes',
    reload: APPLIES,
  }),
  headers_timeout: setting({
    ...duration({ min: '100ms', max: '10m' }),
    initial: '5s',
    meaning: 'time to receive the headers of a request',
    metric: 'none: such a connection has no request yet',
    reload: 'a listener keeps its timeouts',
  }),
  request_timeout: setting({
    ...duration({ min: '100ms', max: '10m' }),
    initial: '10s',
    meaning: 'time to receive a whole request; does not limit streams',
    metric: 'none: such a connection has no request yet',
    reload: 'a listener keeps its timeouts',
  }),
  keep_alive_timeout: setting({
    ...duration({ min: '1s', max: '10m' }),
    initial: '65s',
    meaning: 'an idle connection is closed after this; keep it above that of a proxy in front',
    metric: 'none: an idle connection has no request',
    reload: 'a listener keeps its timeouts',
  }),
  drain_timeout: setting({
    ...duration({ min: '100ms', max: '10m' }),
    initial: '10s',
    meaning: 'after SIGTERM, time for open requests to end before their connections are cut',
    metric: 'inflight_requests',
    reload: APPLIES,
  }),
  drain_delay: setting({
    ...duration({ min: '0s', max: '10m' }),
    initial: '0s',
    meaning:
      'after SIGTERM, time in which `/readyz` says no and everything is still served, for balancers to notice',
    metric: 'registry_read_ready',
    reload: APPLIES,
  }),
};
