/** The example in the specification is what core makes. QUORATE_UPDATE_DOCS=1 writes it there. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { workedExample } from '../support/core-worked-example.ts';

const DOCUMENT = new URL('../../docs/wire-format.md', import.meta.url);
const BEGIN = '<!-- worked example: begin -->\n';
const END = '<!-- worked example: end -->';

test('the worked example in docs/wire-format.md is made again byte for byte', async () => {
  const text = readFileSync(DOCUMENT, 'utf8');
  const [before, rest = ''] = text.split(BEGIN);
  const [, after] = rest.split(END);
  assert.ok(before !== undefined && after !== undefined, 'the markers are there');
  const expected = `${before}${BEGIN}\n${await workedExample()}\n\n${END}${after}`;
  if (process.env.QUORATE_UPDATE_DOCS === '1') writeFileSync(DOCUMENT, expected);
  assert.equal(readFileSync(DOCUMENT, 'utf8'), expected);
});
