/** Routes about the program itself: build, health, and the documents of its contract. */
import { createJsonSchema, isDocumentName } from '../api/json-schemas.ts';
import { createOpenApi } from '../api/openapi.ts';
import { QUERIES, readQuery } from '../api/parameters.ts';
import { encodeUtf8 } from '../core/bytes.ts';
import { excerpt, RegistryError } from '../core/error.ts';
import { SCHEMA_VERSION } from '../core/payload.ts';
import { answerBytes, answerJson } from './answer.ts';
import type { HttpDeps } from './deps.ts';
import type { Handler } from './exchange.ts';

export interface MetaRoutes {
  readonly readBuild: Handler;
  readonly readHealth: Handler;
  readonly readLiveness: Handler;
  readonly readReadiness: Handler;
  readonly readOpenApi: Handler;
  readonly readSchema: Handler;
}

export function metaRoutes({ registry, build }: Pick<HttpDeps, 'registry' | 'build'>): MetaRoutes {
  const isAlive: Handler = () => {
    return answerBytes(encodeUtf8('ok\n'), { caching: 'none', mediaType: 'text/plain' });
  };
  let openApi: Uint8Array | undefined;
  return {
    readBuild: (c) => {
      readQuery(QUERIES.none, c.req.url);
      return answerJson({ name: 'quorate', ...build, schema_versions: [SCHEMA_VERSION] });
    },
    readHealth: isAlive,
    readLiveness: isAlive,
    readReadiness: (c) => {
      const { ready, writeReady, missing, version, checks } = registry.readiness();
      const body = {
        ready,
        write_ready: writeReady,
        missing,
        version,
        ...(isVerbose(c.req.url) && {
          checks: checks.map(({ name, isOk, missing }) => ({ name, ok: isOk, missing })),
        }),
      };
      // By reads alone: a service that only refuses writes must not lose its readers.
      return answerJson(body, { status: ready ? 200 : 503 });
    },
    readOpenApi: (c) => {
      readQuery(QUERIES.none, c.req.url);
      openApi ??= encodeJson(createOpenApi());
      return answerBytes(openApi, { caching: 'none' });
    },
    readSchema: (c) => {
      readQuery(QUERIES.none, c.req.url);
      const name = c.req.param('name');
      if (!isDocumentName(name))
        throw new RegistryError('not_found', `expected the name of a schema, got ${excerpt(name)}`);
      const body = encodeJson(createJsonSchema(name));
      return answerBytes(body, { caching: 'none', mediaType: 'application/schema+json' });
    },
  };
}

/** Never refused, whatever else the query says: a probe with a typing error is still a probe. */
function isVerbose(url: string): boolean {
  const value = new URL(url).searchParams.get('verbose');
  return value !== null && value !== '0' && value !== 'false';
}

/** Documents keep the order they are written in: they are read by people. */
function encodeJson(value: object): Uint8Array {
  return encodeUtf8(JSON.stringify(value, null, 2));
}
