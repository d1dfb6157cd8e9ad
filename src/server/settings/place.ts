/** Settings of where a server listens, whom it believes about addresses, and which registry it keeps where. */
import { ORIGIN } from '../../core/check.ts';
import { isHash } from '../../core/hash.ts';
import { parseAddress, parseListen, parseNetworks } from '../config-values.ts';
import { APPLIES, choice, pathOrNone, setting } from './setting.ts';

export const PROFILES = ['macronode', 'micronode'] as const;
export type Profile = (typeof PROFILES)[number];

export const PLACE = {
  profile: setting({
    ...choice(PROFILES),
    initial: 'macronode',
    meaning:
      'macronode keeps the registry in SQLite under `data`; micronode in memory, gone with the process',
    metric: 'registry_storage_bytes',
    reload: 'where a registry is kept does not change under it',
  }),
  listen: setting({
    expected: 'host:port such as 127.0.0.1:7070 or [::1]:7070, or unix: and a path',
    parse: parseListen,
    initial: '127.0.0.1:7070',
    meaning: 'where the API listens; port 0 takes a free one',
    metric: 'http_requests_total',
    reload: 'a listener keeps its address',
  }),
  socket_mode: setting({
    expected: 'three octal digits such as 660, of which others may have none but 0',
    parse: (text) => (/^[0-7]{2}0$/.test(text) ? Number.parseInt(text, 8) : undefined),
    initial: '660',
    meaning:
      'permissions of the Unix sockets that `listen` names; the operator socket is 600 always',
    metric: 'none: who may not connect is no request',
    reload: 'a listener keeps its address',
  }),
  tls_cert: setting({
    ...pathOrNone(),
    meaning:
      'PEM file with the certificate of the API and its chain; with `tls_key` the API speaks TLS 1.3 only; empty: plain HTTP',
    metric: 'tls_certificate_not_after_timestamp_seconds',
    reload: 'whether a listener speaks TLS does not change under it; the files are read again',
  }),
  tls_key: setting({
    ...pathOrNone(),
    meaning: 'PEM file with the private key of the certificate, not encrypted, for its owner only',
    metric: 'tls_certificate_not_after_timestamp_seconds',
    reload: 'whether a listener speaks TLS does not change under it; the files are read again',
  }),
  trusted_proxies: setting({
    expected: 'empty, or addresses and networks such as 10.0.0.0/8,::1, separated by commas',
    parse: parseNetworks,
    initial: '',
    meaning:
      'proxies whose `X-Forwarded-For` is believed: its rightmost address that is none of them is the client; empty: none',
    metric: 'rejected_total{reason="rate_limited"}',
    reload: APPLIES,
  }),
  metrics_listen: setting({
    expected: 'host:port, or off',
    parse: (text) => (text === 'off' ? 'off' : parseAddress(text)),
    initial: '127.0.0.1:7071',
    meaning: 'where `GET /metrics` listens, apart from the API',
    metric: 'none: the scrape itself shows it',
    reload: 'a listener keeps its address',
  }),
  data: setting({
    expected: 'a path without NUL, not empty',
    parse: (text) => (text === '' || text.includes('\0') ? undefined : text),
    initial: './data',
    meaning:
      'directory of the database, relative to the working directory; made when it is missing; a micronode has none, unless one on tmpfs for its operator socket',
    metric: 'registry_storage_bytes',
    reload: 'where a registry is kept does not change under it',
  }),
  origin: setting({
    expected: 'empty, or an origin such as registry.example.com/prod',
    parse: (text) => (text === '' || ORIGIN.test(text) ? text : undefined),
    initial: '',
    meaning: 'refuse to start on, or to begin, a registry of another origin; empty: any',
    metric: 'rejected_total{reason="wrong_registry"}',
    reload: 'it is checked at the start',
  }),
  registry: setting({
    expected: 'empty, or b3: and 64 lower-case hex digits',
    parse: (text) => (text === '' || isHash(text) ? text : undefined),
    initial: '',
    meaning:
      'refuse to start on, or to begin, another registry than the one with this genesis hash; empty: any',
    metric: 'rejected_total{reason="wrong_registry"}',
    reload: 'it is checked at the start',
  }),
};
