/** What the registry answers to a GET, taken from itself, so that references can answer the same bytes and headers. */

export interface Answer {
  readonly path: string;
  readonly status: number;
  readonly etag: string;
  readonly contentType: string;
  /** Without those that each server makes itself, and without type, length and ETag. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
}

const OWN = new Set(['date', 'connection', 'keep-alive', 'content-length', 'content-type', 'etag']);

export async function takeAnswer(url: string, path: string): Promise<Answer> {
  const response = await fetch(url + path, { headers: { 'accept-encoding': 'identity' } });
  const body = await response.text();
  if (response.status !== 200) throw new Error(`expected 200 of ${path}, got ${response.status}`);
  return {
    path,
    status: response.status,
    etag: response.headers.get('etag') ?? '"none"',
    contentType: response.headers.get('content-type') ?? 'application/json',
    headers: [...response.headers].filter(([name]) => !OWN.has(name)),
    body,
  };
}

/** As a file for the reference servers. */
export function parseAnswers(text: string): readonly Answer[] {
  return JSON.parse(text);
}

/** Names and values in turn, as node:http takes them fastest. */
export function headerList({ etag, contentType, headers, body }: Answer): string[] {
  const length = String(Buffer.byteLength(body));
  const own = [
    ['content-type', contentType],
    ['content-length', length],
    ['etag', etag],
  ];
  return [...own, ...headers].flat();
}
