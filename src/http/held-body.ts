/** A body that keeps its place until it has ended, broken off or was given up: what it holds, it holds so long. */

/** `release` may be called more than once. The pieces are passed on as they are. */
export function heldBody(
  body: ReadableStream<Uint8Array>,
  release: () => void,
): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  return new ReadableStream<Uint8Array>(
    {
      pull: async (controller) => {
        try {
          const { done, value } = await reader.read();
          if (!done) return controller.enqueue(value);
          controller.close();
        } catch (cause) {
          controller.error(cause);
        }
        release();
      },
      cancel: (reason) => reader.cancel(reason).finally(release),
    },
    { highWaterMark: 0 },
  );
}
