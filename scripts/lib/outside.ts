/** What a bundle leaves to the packages as they are installed. */
export const OUTSIDE = [
  /^node:/,
  // Native, or its own WebAssembly beside it.
  'better-sqlite3',
  '@biscuit-auth/biscuit-wasm',
  // There only where spans are sent or snapshots go to S3.
  /^@opentelemetry\/(?!api$)/,
  /^@aws-sdk\//,
];
