/**
 * The reference of events: nchan, a module of nginx written in C, with one worker. One channel, its
 * subscribers on `/sub` as server-sent events, its publisher on `/pub`.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { ChildServer } from './child.ts';
import { hasTool } from './machine.ts';
import { type NginxPlace, runNginx } from './nginx-process.ts';
import type { Poster } from './poster.ts';
import type { Stream } from './subscribers.ts';

/** Where Debian puts it. */
const MODULE = '/usr/lib/nginx/modules/ngx_nchan_module.so';
const HERE = '/here';
const EVENT = 'registry.update';

export const NCHAN_STREAM: Stream = {
  path: '/sub',
  // A comment: what was published before is not told.
  hello: ': hi',
  event: `event: ${EVENT}`,
};

export const hasNchan = hasTool('nginx') && existsSync(MODULE);

/** For so many connections, with as many to spare: when few are left nginx closes those that are quiet. */
export function startNchan(connections: number): Promise<ChildServer> {
  return runNginx((place) => nchanConfigOf(place, connections), HERE);
}

/** As one event to all subscribers; resolves when it is taken. The body has no line break. */
export function publishToNchan(poster: Poster, body: Uint8Array): Promise<void> {
  return poster.post('/pub', body, { 'x-eventsource-event': EVENT });
}

function nchanConfigOf({ directory, port, main, http }: NginxPlace, connections: number): string {
  const channel = 'nchan_channel_id a;';
  return [
    `load_module ${MODULE};`,
    main,
    `pid ${join(directory, 'nginx.pid')};`,
    `events { worker_connections ${connections * 2 + 100}; }`,
    `http { access_log off; ${http} server { listen 127.0.0.1:${port};`,
    `location = ${HERE} { return 200; }`,
    `location = /sub { nchan_subscriber eventsource; nchan_subscriber_first_message newest; ${channel} }`,
    `location = /pub { nchan_publisher; ${channel} }`,
    '} }',
    '',
  ].join('\n');
}
