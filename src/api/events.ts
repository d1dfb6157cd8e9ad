/** Names of the server-sent events of `GET /registry/stream`, and what one `data` line holds. */

export const STREAM_EVENTS = {
  /** A new head: the head object with `checkpoint` and `corr_id`. Its `id` is the version. */
  update: 'registry.update',
  /** The cursor is not in the log: `{oldest, head}`; the stream goes on after `head`. */
  reset: 'registry.reset',
  /** A heartbeat, and at once when the checkpoint has new cosignatures: `{checkpoint, version}`. Has no `id`. */
  progress: 'registry.progress',
  /** The server ends the stream: `{reason}`, with a `retry:` line. Reconnect with the last `id`. */
  closing: 'registry.closing',
} as const;
