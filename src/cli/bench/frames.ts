/** Server-sent events, read for their names, ids and data alone: thin, because thousands of readers share one thread. */

export interface Frame {
  readonly event: string;
  /** `undefined`: the frame has none. */
  readonly id: number | undefined;
  readonly data: string;
}

/** No event of a registry comes near it. */
const MAX_REST_CHARACTERS = 4 * 1024 * 1024;

/** Takes pieces as they come; answers the frames that they complete. Throws for a frame without end. */
export class FrameReader {
  #rest = '';

  add(piece: string): readonly Frame[] {
    const text = this.#rest + piece;
    const end = text.lastIndexOf('\n\n');
    this.#rest = end === -1 ? text : text.slice(end + 2);
    if (this.#rest.length > MAX_REST_CHARACTERS) throw new Error('a frame without end');
    if (end === -1) return [];
    return text
      .slice(0, end)
      .split('\n\n')
      .map(readFrame)
      .filter(({ data }) => data !== '');
  }
}

/** As the registry writes them: one line for each field, `\n` between lines. */
function readFrame(block: string): Frame {
  let [event, id, data] = ['message', '', ''];
  for (const line of block.split('\n')) {
    if (line.startsWith('data: ')) data = line.slice(6);
    else if (line.startsWith('event: ')) event = line.slice(7);
    else if (line.startsWith('id: ')) id = line.slice(4);
  }
  return { event, id: /^\d{1,16}$/.test(id) ? Number(id) : undefined, data };
}
