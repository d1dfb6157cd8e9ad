/** The problem document for requests that never reach the application: unparsable, ambiguous, too slow. */
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { PROBLEM_MEDIA_TYPE, PROBLEMS, problemType } from '../api/problems.ts';
import { newCorrId } from './corr-id.ts';

export interface RawProblem {
  readonly status: number;
  readonly detail: string;
}

/** The one code for all of them: nothing of the request is known to be right. */
export const RAW_PROBLEM_CODE = 'invalid_request';

export function problemResponse(problem: RawProblem): Response {
  const { headers, body } = encodeProblem(problem);
  return new Response(body, { status: problem.status, headers });
}

/** Answers and closes; a peer that has gone gets nothing. */
export function endWithProblem(socket: Socket, problem: RawProblem): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const { headers, body } = encodeProblem(problem);
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const { status } = problem;
  socket.write(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}\r\n${body}`);
  socket.destroySoon();
}

export const TOO_LATE: RawProblem = {
  status: 408,
  detail: 'expected the request sooner, got a part of it',
};

/** What node's parser and timers name by code, in words; `undefined` when the connection broke. */
export function parserProblem(code = ''): RawProblem | undefined {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return TOO_LATE;
  if (code === 'HPE_HEADER_OVERFLOW')
    return { status: 431, detail: 'expected at most 16 KiB of headers, got more' };
  if (code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW')
    return { status: 413, detail: 'expected at most 16 KiB of chunk extensions, got more' };
  if (!code.startsWith('HPE_')) return undefined;
  return {
    status: 400,
    detail: `expected an http/1.1 request, got one that does not parse (${code})`,
  };
}

function encodeProblem({ status, detail }: RawProblem) {
  const corrId = newCorrId();
  const body = JSON.stringify({
    code: RAW_PROBLEM_CODE,
    corr_id: corrId,
    detail,
    details: {},
    status,
    title: PROBLEMS[RAW_PROBLEM_CODE].title,
    type: problemType(RAW_PROBLEM_CODE),
  });
  const headers = {
    'content-type': PROBLEM_MEDIA_TYPE,
    'content-length': String(Buffer.byteLength(body)),
    'cache-control': 'no-store',
    'x-corr-id': corrId,
    connection: 'close',
  };
  return { headers, body };
}
