import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Validator } from '@seriousme/openapi-schema-validator';
import { createJsonSchema } from '../../../src/api/json-schemas.ts';
import { createOpenApi } from '../../../src/api/openapi.ts';
import { PROBLEMS } from '../../../src/api/problems.ts';
import { COMMON_ERRORS } from '../../../src/api/route.ts';
import { operations } from '../../../src/api/routes.ts';

interface Answer {
  readonly content?: Readonly<Record<string, { readonly schema: { readonly $ref?: string } }>>;
  readonly headers?: Readonly<Record<string, unknown>>;
}

interface Operation {
  readonly operationId: string;
  readonly parameters: readonly { readonly name: string; readonly in: string }[];
  readonly responses: Readonly<Record<string, Answer>>;
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, object>> };
}

const TEXT = `${JSON.stringify(createOpenApi(), null, 2)}\n`;
const DOCUMENT: Document = JSON.parse(TEXT);

test('the document is valid OpenAPI 3.1', async () => {
  const validator = new Validator();
  const { valid, errors } = await validator.validate(JSON.parse(TEXT));
  assert.ok(valid, JSON.stringify(errors));
  assert.equal(validator.version, '3.1');
});

test('openapi.json is what the schemas say; scripts/openapi.ts writes it', () => {
  const file = join(import.meta.dirname, '../../../openapi.json');
  assert.ok(readFileSync(file, 'utf8') === TEXT, 'run `node scripts/openapi.ts`');
});

test('every route is an operation of its own name, with its path parameters', () => {
  const seen = new Set<string>();
  for (const [id, route] of operations()) {
    const operation = DOCUMENT.paths[route.path]?.[route.method];
    assert.equal(operation?.operationId, id);
    const named = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    const described = operation?.parameters.filter((p) => p.in === 'path').map((p) => p.name);
    assert.deepEqual(described, named, id);
    seen.add(id);
  }
  const count = Object.values(DOCUMENT.paths).flatMap((path) => Object.keys(path)).length;
  assert.equal(count, seen.size);
});

test('every refusal of every operation is a problem, with Retry-After where it may be repeated', () => {
  for (const [id, route] of operations()) {
    const responses = DOCUMENT.paths[route.path]?.[route.method]?.responses ?? {};
    for (const code of [...COMMON_ERRORS, ...route.errors]) {
      const { status } = PROBLEMS[code];
      if (route.answers[status] !== undefined) continue;
      const { content, headers } = responses[status] ?? {};
      const schema = content?.['application/problem+json']?.schema;
      assert.equal(schema?.$ref, '#/components/schemas/Problem', `${id} ${code}`);
      const isTold = headers !== undefined && 'Retry-After' in headers;
      assert.equal(isTold, status === 429 || status === 503, `${id} ${code}`);
    }
  }
});

test('what can be revalidated has a 304, and what may not be stored has none', () => {
  for (const [id, route] of operations()) {
    const responses = DOCUMENT.paths[route.path]?.[route.method]?.responses ?? {};
    assert.equal('304' in responses, route.method === 'get' && route.caching !== 'none', id);
  }
});

test('requests are strict and answers are open to new members', () => {
  const { schemas } = DOCUMENT.components;
  const open = ['Head', 'Entry', 'DescriptorSet', 'Proposal', 'Quorum', 'Problem', 'Readiness'];
  for (const name of open)
    assert.deepEqual(Reflect.get(schemas[name] ?? {}, 'additionalProperties'), {}, name);
  const strict = ['Approval', 'GenesisPayload', 'DescriptorsPayload', 'Governance', 'PutChange'];
  for (const name of strict)
    assert.equal(Reflect.get(schemas[name] ?? {}, 'additionalProperties'), false, name);
  // One schema for both directions: no component was doubled.
  assert.deepEqual(
    Object.keys(schemas).filter((name) => name.endsWith('Output')),
    [],
  );
});

test('nothing of OpenAPI 3.0 is left in the document', () => {
  assert.doesNotMatch(TEXT, /"nullable"|"exclusiveM\w+imum": (true|false)/);
});

test('the JSON schemas stand alone: every reference in them has its definition', () => {
  for (const name of ['approval', 'descriptor-set', 'governance', 'payload'] as const) {
    const schema = createJsonSchema(name);
    assert.equal(Reflect.get(schema, '$id'), `urn:quorate:schema:1.0.0:${name}`);
    const text = JSON.stringify(schema);
    for (const [, reference] of text.matchAll(/"\$ref":"#\/\$defs\/(\w+)"/g))
      assert.ok(text.includes(`"${reference}":{`), `${name} ${reference}`);
  }
});
