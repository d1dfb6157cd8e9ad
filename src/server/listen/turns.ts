/**
 * The requests of one connection, one after another. Node hands over every pipelined request as soon as
 * it is parsed, some thousands from one read: their answers would all be made at once, and be held until
 * the first of them was read.
 */
import type { Socket } from 'node:net';

const MAX_WAITING = 15;

export class Turns {
  /** What waits; there while an answer is under way. */
  readonly #waiting = new WeakMap<Socket, (() => void)[]>();

  /** Runs `answer` when those before it have ended; `false`: too many wait, and it will not run. */
  take(socket: Socket, answer: () => void): boolean {
    const waiting = this.#waiting.get(socket);
    if (waiting === undefined) {
      this.#waiting.set(socket, []);
      answer();
      return true;
    }
    if (waiting.length >= MAX_WAITING) return false;
    waiting.push(answer);
    return true;
  }

  isUnderWay(socket: Socket): boolean {
    return this.#waiting.has(socket);
  }

  /** An answer has ended; when it was the last that the connection takes, what waits is dropped. */
  next(socket: Socket): void {
    const answer = socket.writable ? this.#waiting.get(socket)?.shift() : undefined;
    if (answer === undefined) this.#waiting.delete(socket);
    else answer();
  }
}
