/** The whole HTTP contract by operation. A server that lacks one of them does not compile. */
import { BLOB_ROUTES } from './blob-routes.ts';
import { LOG_ROUTES } from './log-routes.ts';
import { READ_ROUTES } from './read-routes.ts';
import type { Route } from './route.ts';
import { SERVICE_ROUTES } from './service-routes.ts';
import { WRITE_ROUTES } from './write-routes.ts';

// A literal path stands before a template that would match it too.
export const ROUTES = {
  ...WRITE_ROUTES,
  ...READ_ROUTES,
  ...LOG_ROUTES,
  ...BLOB_ROUTES,
  ...SERVICE_ROUTES,
} as const satisfies Record<string, Route>;

export type OperationId = keyof typeof ROUTES;

export function operations(): readonly (readonly [OperationId, Route])[] {
  return Object.entries(ROUTES) as [OperationId, Route][];
}
