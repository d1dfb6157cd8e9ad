/** A set that was written, while it is kept: read in chunks, each checked before it goes out. */
import { type FileHandle, open, rm } from 'node:fs/promises';
import { RegistryError } from '../../core/error.ts';
import { isChunk, placeOfChunk, type WrittenFile } from './chunks.ts';

export class SetFile {
  readonly #path: string;
  readonly #written: WrittenFile;
  readonly #handle: FileHandle;
  /** Bodies that are being read. */
  #readers = 0;
  #isKept = true;
  #heldBytes: number;
  #isOpen = true;

  private constructor(path: string, written: WrittenFile, handle: FileHandle) {
    this.#path = path;
    this.#written = written;
    this.#handle = handle;
    this.#heldBytes = written.bytes;
  }

  static async open(path: string, written: WrittenFile): Promise<SetFile> {
    return new SetFile(path, written, await open(path, 'r+'));
  }

  get bytes(): number {
    return this.#written.bytes;
  }

  /** Of the disk: also of one that was dropped, as long as somebody reads it. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** One that was dropped is until the last reader has left. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /**
   * `undefined`: already its beginning is not what was written. `onChanged`: something after it is not, and
   * the body broke off before it.
   */
  async body(
    onChanged: (cause: RegistryError) => void,
  ): Promise<ReadableStream<Uint8Array> | undefined> {
    this.#readers++;
    const first = await this.#chunk(0).catch(() => undefined);
    if (first === undefined) {
      await this.#left();
      return undefined;
    }
    let index = 0;
    let isOver = false;
    const end = async (): Promise<void> => {
      isOver = true;
      await this.#left();
    };
    const pull = async (controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> => {
      try {
        const chunk = index === 0 ? first : await this.#chunk(index);
        if (isOver) return;
        index++;
        if (chunk !== undefined) return controller.enqueue(chunk);
        controller.close();
      } catch (cause) {
        if (isOver) return;
        const error = this.#changed(cause);
        controller.error(error);
        onChanged(error);
      }
      await end();
    };
    return new ReadableStream({ pull, cancel: end }, { highWaterMark: 0 });
  }

  /** Its name goes now, its bytes when nobody reads them any more; `isErased`: they go now, whoever reads them. */
  async drop({ isErased = false }: { readonly isErased?: boolean } = {}): Promise<void> {
    if (!this.#isKept) return;
    this.#isKept = false;
    if (isErased) await this.#empty();
    await rm(this.#path, { force: true });
    await this.#closeUnread();
  }

  async #empty(): Promise<void> {
    await this.#handle.truncate();
    this.#heldBytes = 0;
  }

  async #left(): Promise<void> {
    this.#readers--;
    await this.#closeUnread();
  }

  async #closeUnread(): Promise<void> {
    if (this.#isKept || this.#readers > 0) return;
    await this.#handle.close();
    this.#heldBytes = 0;
    this.#isOpen = false;
  }

  /** `undefined` past the last. Throws when it is not what was written. */
  async #chunk(index: number): Promise<Uint8Array | undefined> {
    const place = placeOfChunk(this.#written, index);
    if (place === undefined) return undefined;
    const { at, length } = place;
    const chunk = Buffer.allocUnsafeSlow(length);
    const { bytesRead } = await this.#handle.read(chunk, 0, length, at);
    if (bytesRead !== length || !isChunk(chunk, index, this.#written))
      throw new RegistryError(
        'storage_damaged',
        `expected the ${length} bytes that were written at ${at}, got others`,
      );
    return chunk;
  }

  #changed(cause: unknown): RegistryError {
    return new RegistryError(
      'storage_damaged',
      `expected ${this.#path} as it was written, got other bytes`,
      { cause },
    );
  }
}
