/** Plain, odd and hostile requests, as bytes: what a reader, a proxy or an attacker may send. */

export const HOST = 'Host: registry.example\r\n';

const TARGETS = [
  '/registry/head',
  '/registry/0',
  '/registry/1',
  '/checkpoint',
  '/registry/2',
  '/registry/00',
  '/registry/99999999999999999999',
  '/registry/head/',
  '//registry/head',
  '/registry/./head',
  '/registry/../registry/head',
  '/registry/%68ead',
  '/registry/head?',
  '/registry/head?after=0',
  '/registry/head?x=1',
  '/registry/head#a',
  '/registry/HEAD',
  '/registry/0/governance',
  '/tile/0/000.p/2',
  '/livez',
  '/',
  '/registry/head%00',
  '/registry/h\u00e9ad',
  'http://registry.example/registry/head',
  '*',
  'registry/head',
];

const METHODS = ['HEAD', 'OPTIONS', 'POST', 'PUT', 'get', 'GETT', 'G', 'CONNECT', 'TRACE', ''];

const VERSIONS = ['HTTP/1.0', 'HTTP/1.2', 'HTTP/2.0', 'http/1.1', 'HTTP/1.1 ', 'HTTP/01.1', ''];

/** Beside `Host`, which comes first. `<etag>`: the ETag of what is asked for. */
const HEADERS = [
  'If-None-Match: <etag>\r\n',
  'If-None-Match: W/<etag>\r\n',
  'If-None-Match: "a", <etag>, "b"\r\n',
  'If-None-Match: "a,b", "c"\r\n',
  'If-None-Match: *\r\n',
  'If-None-Match: "another"\r\n',
  'If-None-Match: <etag>\r\nIf-None-Match: "another"\r\n',
  'If-None-Match:<etag>\r\n',
  'If-None-Match:  <etag>  \r\n',
  'if-none-match:\t<etag>\r\n',
  'If-None-Match: \r\n',
  'If-None-Match :<etag>\r\n',
  ' If-None-Match: <etag>\r\n',
  'X-Corr-ID: mine-1\r\n',
  'x-corr-id: mine-2 \r\n',
  'X-Corr-ID: not an id\r\n',
  `X-Corr-ID: ${'a'.repeat(64)}\r\n`,
  `X-Corr-ID: ${'a'.repeat(65)}\r\n`,
  'X-Corr-ID: one\r\nX-Corr-ID: two\r\n',
  'X-Corr-ID: \u00e9\r\n',
  'Connection: keep-alive\r\n',
  'Connection: Keep-Alive\r\n',
  'Connection: close\r\n',
  'Connection: keep-alive, close\r\n',
  'Connection: upgrade\r\nUpgrade: websocket\r\n',
  'Connection: X-Corr-ID\r\nX-Corr-ID: mine\r\n',
  'Connection: close\r\nConnection: keep-alive\r\n',
  'Keep-Alive: timeout=1\r\n',
  'Content-Length: 0\r\n',
  'Content-Length: 00\r\n',
  'Content-Length: 5\r\n',
  'Content-Length: -1\r\n',
  'Content-Length: 0\r\nContent-Length: 0\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding: identity\r\n',
  'Transfer-Encoding : chunked\r\n',
  'Expect: 100-continue\r\n',
  'Expect: something\r\n',
  'Range: bytes=0-10\r\n',
  'If-Match: "a"\r\n',
  'If-Modified-Since: Sat, 21 Nov 2026 00:00:00 GMT\r\n',
  'Accept: application/json\r\nUser-Agent: test\r\nAccept-Encoding: gzip, br\r\n',
  'Accept-Encoding: identity;q=0\r\n',
  'Origin: https://page.example\r\nSec-Fetch-Site: cross-site\r\n',
  'X-Forwarded-For: 192.0.2.1\r\nForwarded: for=192.0.2.2\r\n',
  'Authorization: Bearer abc\r\nCookie: a=b\r\n',
  'traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n',
  'Host: registry.example\r\n',
  'Host: another.example\r\n',
  'User-Agent: caf\u00e9\r\n',
  'User-Agent: a\u0000b\r\n',
  'User-Agent: a\tb\r\n',
  'User-Agent: a\u007fb\r\n',
  'User-Agent: a\r\n b\r\n',
  'User-Agent: a\n',
  'User-Agent: a\rb\r\n',
  'User-Agent\r\n',
  ': a\r\n',
  'User Agent: a\r\n',
  'User_Agent: a\r\n',
  '__proto__: a\r\n',
  `User-Agent: ${'a'.repeat(5_000)}\r\n`,
  `User-Agent: ${'a'.repeat(17_000)}\r\n`,
  'Accept: a\r\n'.repeat(3),
  'X-Many: a\r\n'.repeat(101),
  'TE: trailers\r\nTrailer: X-Corr-ID\r\n',
];

const PLAIN = [
  '',
  'Connection: keep-alive\r\n',
  'If-None-Match: <etag>\r\n',
  'X-Corr-ID: mine\r\n',
  'Accept: application/json\r\nUser-Agent: test\r\nAccept-Encoding: gzip, br\r\n',
];

const HOSTS = [
  '',
  'Host: \r\n',
  'Host:\r\n',
  'host: registry.example\r\n',
  'HOST:registry.example:7070\r\n',
  'Host: 127.0.0.1:7070\r\n',
  'Host: 127.0.0.256\r\n',
  'Host: 127.1\r\n',
  'Host: 0x7f.1\r\n',
  'Host: 1.2.3.08\r\n',
  'Host: [::1]:7070\r\n',
  'Host: [::1\r\n',
  'Host: [fe80::1%25eth0]\r\n',
  'Host: a:99999\r\n',
  'Host: a:65536\r\n',
  'Host: a:0\r\n',
  'Host: a:\r\n',
  'Host: a b\r\n',
  'Host: a/b\r\n',
  'Host: a@b\r\n',
  'Host: a?b\r\n',
  'Host: a#b\r\n',
  'Host: a\\b\r\n',
  'Host: xn--a\r\n',
  'Host: xn--zzzzzzzz--.example\r\n',
  'Host: -a-.example\r\n',
  'Host: a..b\r\n',
  'Host: a.\r\n',
  'Host: .a\r\n',
  'Host: a_b\r\n',
  'Host: a%41\r\n',
  'Host: \u00e9\r\n',
  `Host: ${'a'.repeat(300)}.example\r\n`,
];

const ENDS = ['\r\n', '\n', '\r\n\r\n', '\r\nGET', '\r\n\u0000', '\r\nfive.', '', '\r'];

export function get(target: string, headers = HOST): string {
  return `GET ${target} HTTP/1.1\r\n${headers}\r\n`;
}

/** One of each oddity, and nothing else odd. `etagOf`: of a target. */
export function oddRequests(etagOf: (target: string) => string): readonly string[] {
  const head = '/registry/head';
  return [
    ...TARGETS.map((target) => get(target)),
    ...METHODS.map((method) => `${method} ${head} HTTP/1.1\r\n${HOST}\r\n`),
    ...VERSIONS.map((version) => `GET ${head} ${version}\r\n${HOST}\r\n`),
    `GET  ${head} HTTP/1.1\r\n${HOST}\r\n`,
    `GET\t${head} HTTP/1.1\r\n${HOST}\r\n`,
    ` GET ${head} HTTP/1.1\r\n${HOST}\r\n`,
    `\r\nGET ${head} HTTP/1.1\r\n${HOST}\r\n`,
    ...HEADERS.map((lines) => get(head, HOST + lines.replaceAll('<etag>', etagOf(head)))),
    ...HEADERS.map((lines) => get(head, lines.replaceAll('<etag>', etagOf(head)) + HOST)),
    ...HOSTS.map((line) => get(head, line)),
    ...ENDS.map((end) => `GET ${head} HTTP/1.1\r\n${HOST}${end}`),
  ];
}

/** A few oddities at once, or none: `random` decides. */
export function drawRequest(random: () => number, etagOf: (target: string) => string): string {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const isOdd = (share: number): boolean => random() < share;
  const plain = pick(TARGETS.slice(0, 4));
  if (!isOdd(0.5)) return get(plain, HOST + pick(PLAIN).replace('<etag>', etagOf(plain)));
  const target = isOdd(0.3) ? pick(TARGETS) : plain;
  const method = isOdd(0.05) ? pick(METHODS) : 'GET';
  const version = isOdd(0.03) ? pick(VERSIONS) : 'HTTP/1.1';
  const host = isOdd(0.1) ? pick(HOSTS) : HOST;
  const more = Array.from({ length: Math.floor(random() * 3) }, () => pick(HEADERS)).join('');
  const lines = more.replaceAll('<etag>', etagOf(target));
  return `${method} ${target} ${version}\r\n${host}${lines}${isOdd(0.05) ? pick(ENDS) : '\r\n'}`;
}

/** `text` in up to `count` pieces, cut anywhere. */
export function cut(random: () => number, text: string, count: number): readonly string[] {
  const places = Array.from({ length: count - 1 }, () => Math.floor(random() * (text.length + 1)));
  const ordered = [0, ...places.sort((a, b) => a - b), text.length];
  return ordered
    .slice(1)
    .map((end, i) => text.slice(ordered[i], end))
    .filter((piece) => piece !== '');
}
